package printable_test

import (
	"net/url"
	"strings"
	"testing"

	"relcheck/checker/printable"
)

// A link that CheckLink accepts leads to a web server, and no browser or terminal
// interprets it differently.
func FuzzLink(f *testing.F) {
	for _, s := range []string{
		"https://example.com/a#b", "HTTP://[::1]:80", "javascript://h/%0aalert(1)", "https:h", "https:///h", "//h", "https://h\\@e/", "https://u:p@h/",
		"https://@h", "https://h/\u202e", "https://h/\x1b[31m", "https://h%00/", "https://h/ a", "https://:1/", "ht\ttps://h", " https://h",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := printable.CheckLink(s)
		if err != nil {
			if u, bad := url.Parse(s); bad == nil && u.User != nil && u.Host != "" {
				if secret, _ := u.User.Password(); len(secret) > 8 && strings.Contains(err.Error(), secret) && !strings.Contains(u.Host+u.Path+u.RawQuery+u.Fragment, secret) {
					t.Errorf("CheckLink(%q) = %q, want an error without the password", s, err)
				}
			}
			if printable.Check(err.Error()) != nil {
				t.Errorf("CheckLink(%q) = %q, want a printable error", s, err)
			}
			return
		}
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Hostname() == "" || u.User != nil || u.Opaque != "" || len(s) > printable.MaxLinkBytes || printable.Check(s) != nil:
			t.Errorf("CheckLink(%q) = nil, want an error because it is no link to a host", s)
		case !strings.HasPrefix(strings.ToLower(s), "http://") && !strings.HasPrefix(strings.ToLower(s), "https://"):
			t.Errorf("CheckLink(%q) = nil, want an error because of its scheme", s)
		case strings.ContainsAny(authority(s), "\\@% "):
			t.Errorf("CheckLink(%q) = nil, want an error because browsers may see another host in it", s)
		}
		if printable.CheckDownload(s) == nil && u.Fragment != "" {
			t.Errorf("CheckDownload(%q) = nil, want an error because of its fragment", s)
		}
	})
}

// authority returns the part of a link between the second slash and the third.
func authority(link string) string { return strings.SplitN(link, "/", 4)[2] }
