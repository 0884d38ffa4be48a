package dbfile

import "os"

// Owner returns false: Windows has no user IDs.
func Owner(os.FileInfo) (user int, known bool) { return 0, false }

func group(os.FileInfo) int { return -1 }

// hardLinks returns 1 without looking.
func hardLinks(os.FileInfo) int { return 1 }

// NoFollow is empty because creating symbolic links requires a privilege on Windows.
const NoFollow = 0
