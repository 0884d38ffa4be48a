package dbfile

import "golang.org/x/sys/windows"

// FreeSpace returns the number of bytes that can be written to a folder, if known.
func FreeSpace(folder string) (bytes int64, known bool) {
	name, err := windows.UTF16PtrFromString(folder)
	var free uint64
	if err == nil {
		err = windows.GetDiskFreeSpaceEx(name, &free, nil, nil)
	}
	return int64(free), err == nil
}
