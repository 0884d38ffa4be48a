package db

import "testing"

// SmallSteps makes folds take pages of so many reports, until the test ends.
func SmallSteps(t testing.TB, page int) {
	before := foldPage
	foldPage = page
	t.Cleanup(func() { foldPage = before })
}
