package printable

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"add", "list", "release", "remove", "backup-dir", "backup-every"}
	for word, want := range map[string]string{
		"relase": "release", "lsit": "list", "lst": "list", "ad": "add", "bakup-dri": "backup-dir", "backup-evry": "backup-every",
		"rele": "release", "x": "", "": "", "nope": "", "unrelated": "", "é": "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
