package db

import "os"

// owner is the number of the user that a file belongs to. Windows has none.
func owner(os.FileInfo) (user int, known bool) { return 0, false }

func group(os.FileInfo) int { return -1 }

// links is how many names a file has. It is not looked up on Windows.
func links(os.FileInfo) int { return 1 }

// noFollow is empty: making a symbolic link takes a privilege on Windows.
const noFollow = 0
