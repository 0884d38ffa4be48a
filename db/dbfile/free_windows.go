package dbfile

import "golang.org/x/sys/windows"

// Space returns the number of bytes that can be written to a folder, and the size of its
// file system, if known.
func Space(folder string) (free, total int64, known bool) {
	name, err := windows.UTF16PtrFromString(folder)
	var available, all uint64
	if err == nil {
		err = windows.GetDiskFreeSpaceEx(name, &available, &all, nil)
	}
	return int64(available), int64(all), err == nil
}
