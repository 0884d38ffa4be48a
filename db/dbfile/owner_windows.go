package dbfile

import "os"

// Owner is the number of the user that a file belongs to. Windows has none.
func Owner(os.FileInfo) (user int, known bool) { return 0, false }

func group(os.FileInfo) int { return -1 }

// hardLinks is how many names a file has. It is not looked up on Windows.
func hardLinks(os.FileInfo) int { return 1 }

// NoFollow is empty: making a symbolic link takes a privilege on Windows.
const NoFollow = 0
