package checker

// Catalog is every product with its releases, as they stood at one revision.
type Catalog struct {
	// Revision grows whenever a product or a release changes.
	Revision int64
	Products []Listing
}

// Listing is a product with its releases, in no particular order.
type Listing struct {
	Product
	Releases []Release
}
