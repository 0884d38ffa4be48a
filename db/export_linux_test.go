package db

import "os"

// TrustNames makes this process use a file whatever other names it has.
func TrustNames() {
	attempt = func(path string, use use, _ bool) (*hold, error) {
		h := &hold{heldFile: &heldFile{path: path, log: -1}}
		info, err := os.Lstat(path)
		if err == nil {
			h.id = idOf(info)
		} else if use != forCreating {
			return nil, err
		}
		return h, nil
	}
}

// IsMounted looks for a path among the mount points of /proc/self/mountinfo.
var IsMounted = isMounted
