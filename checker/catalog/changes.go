package catalog

// Revision identifies a state of the catalog, which is all products with their
// releases. The zero value precedes the first product.
type Revision struct {
	// Changes counts all changes of the catalog. Marked counts the changes that
	// also marked the rows that they changed.
	Changes, Marked int64
}

// Changes are the changes of the catalog since an earlier revision.
type Changes struct {
	// Revision is the state after the changes.
	Revision Revision
	// All means that Products are all products with all their releases.
	All bool
	// Products lists the changed products, each with the releases that have changed.
	// A new product has all its releases.
	Products []Listing
	// Remaining holds the IDs of all products, or is nil if no product was removed.
	Remaining map[int64]bool
}

// Listing is a product with releases, in no particular order.
type Listing struct {
	ID int64 // identifies the product in its store; 0 if unknown
	Product
	Releases []Release
}
