package printable_test

import (
	"net/url"
	"strings"
	"testing"

	"relcheck/checker/printable"
)

// FuzzLink holds that a link which passes the check leads to a web server and no
// browser or terminal takes it for anything else.
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
					t.Errorf("the error shows the password of %q: %v", s, err)
				}
			}
			if printable.Check(err.Error()) != nil {
				t.Errorf("the error cannot be shown: %q", err)
			}
			return
		}
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Hostname() == "" || u.User != nil || u.Opaque != "" || len(s) > printable.MaxLink || printable.Check(s) != nil:
			t.Errorf("%q passes", s)
		case !strings.HasPrefix(strings.ToLower(s), "http://") && !strings.HasPrefix(strings.ToLower(s), "https://"):
			t.Errorf("%q passes", s)
		case strings.ContainsAny(authority(s), "\\@% "):
			t.Errorf("%q passes, and browsers may see another host in it", s)
		}
		if printable.CheckDownload(s) == nil && u.Fragment != "" {
			t.Errorf("%q passes as a download", s)
		}
	})
}

// authority is what stands between the second slash and the third.
func authority(link string) string { return strings.SplitN(link, "/", 4)[2] }
