package db

import "os"

// SmallSteps makes the folds of this process take pages of so many reports, and
// returns how many they had before.
func SmallSteps(page int) (before int) {
	before, foldPage = foldPage, page
	return before
}

// Save makes one backup at a certain time.
var Save = (*Store).save

// Verify is what is done with a file before it counts as a backup.
var Verify = verifyFile

// RenameInto is how a backup gets to its place in a file system without links.
func RenameInto(path, place string) error {
	return (&partial{path, place}).rename(&os.LinkError{Err: os.ErrPermission})
}

// Holding tells who holds the lock of a store.
var Holding = holding

// SmallBackups makes the backups of this process take steps of so many pages.
func SmallBackups(step int32) { backupStep = step }

// GrowthOf lets a log become so long during a backup, or as long as the store is,
// and returns how long it might be before.
func GrowthOf(bytes int64) (before int64) {
	before, maxGrowth = maxGrowth, bytes
	return before
}
