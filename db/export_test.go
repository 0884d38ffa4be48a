package db

// SmallSteps makes the folds of this process take pages of so many reports, and
// returns how many they had before.
func SmallSteps(page int) (before int) {
	before, foldPage = foldPage, page
	return before
}
