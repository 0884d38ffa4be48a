package stats

// Public returns what everyone may be shown of the view: no cell of it counts
// from one to threshold ids. It has fewer tables, and none at all when its query
// is not of [ParsePublicQuery].
func (v *View) Public(threshold int64) *View {
	public := *v
	public.tables = nil
	return &public
}
