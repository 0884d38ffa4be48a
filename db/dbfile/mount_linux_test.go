package dbfile

import "testing"

func TestIsMounted(t *testing.T) {
	mounts := "22 27 0:20 / /proc rw - proc proc rw\n" + `30 27 254:0 /a.db /srv/my\040store/a.db rw - ext4 /dev/vda rw` + "\n31 27 254:0 /b"
	for path, want := range map[string]bool{"/srv/my store/a.db": true, "/srv/my store": false, "/proc": true, "/srv/a.db": false, "": false} {
		if got := isMounted(mounts, path); got != want {
			t.Errorf("isMounted(%q) = %v, want %v", path, got, want)
		}
	}
}
