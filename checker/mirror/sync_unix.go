//go:build !windows

package mirror

import "os"

func syncNames(folder *os.File) error { return folder.Sync() }
