package checker

// Revision identifies a state of the catalog, which is every product with its
// releases. The zero value is before any product.
type Revision struct {
	// Changes counts the changes of the catalog. Marked counts those of them that
	// marked the rows they changed.
	Changes, Marked int64
}

// Changes are the changes of the catalog since an earlier revision.
type Changes struct {
	Revision Revision // after the changes
	// All means that Products are all products with all their releases.
	All bool
	// Products are the changed products, with those of their releases that have
	// changed. All releases of a product that is new are among them.
	Products []Listing
	// Left holds the IDs of all products that are left. It is nil if none was removed.
	Left map[int64]bool
}

// Listing is a product with releases, in no particular order.
type Listing struct {
	ID int64 // identifies the product in its store; 0 if not known
	Product
	Releases []Release
}
