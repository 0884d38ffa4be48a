package catalog_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"relcheck/checker/catalog"
)

func originsOf(list string) (string, error) {
	p, err := catalog.ProductPatch{"origins": list}.Apply(catalog.Product{Name: "app", Title: "App"})
	return p.Origins, err
}

func TestOrigins(t *testing.T) {
	long := strings.Repeat("a", 190)
	for list, want := range map[string]string{
		"":                          "",
		"https://app.example.com":   "https://app.example.com",
		" HTTPS://App.Example.com/": "https://app.example.com",
		"https://a.example:443 http://a.example:80 http://a.example:443": "https://a.example http://a.example http://a.example:443",
		"http://localhost:3000 http://[::1]:3000 http://127.0.0.1":       "http://localhost:3000 http://[::1]:3000 http://127.0.0.1",
		"null app: tauri://localhost null":                               "null app: tauri://localhost",
		"chrome-extension://abcdefghijklmnop app://-":                    "chrome-extension://abcdefghijklmnop app://-",
		"https://xn--bcher-kva.example":                                  "https://xn--bcher-kva.example",
		"https://" + long:                                                "https://" + long,
	} {
		if got, err := originsOf(list); got != want || err != nil {
			t.Errorf("%q became %q, %v", list, got, err)
		}
	}
	many := ""
	for i := range 21 {
		many += fmt.Sprintf("https://a%d.example ", i)
	}
	for _, list := range []string{
		"*", "https:", "HTTP:", "https://*", "https://*.example.com", "app.example.com", "//app.example.com", "https://", "https:///", ":", "app", "app:x",
		"https://app.example.com/path", "https://app.example.com?", "https://app.example.com#", "https://me@app.example.com", "https://app.example.com:", "https://app.example.com:port",
		"https://bücher.example", "https://app.example.com,https://b.example", "https://a.example\x00", "https://\u202ea.example", "https://a.example\x1b[31m", "https://[::1%25eth0]",
		"https://a.example/ nonsense", "javascript:alert(1)", "https://" + long + long, many,
	} {
		m := (*catalog.FieldError)(nil)
		if got, err := originsOf(list); !errors.As(err, &m) || m.Field != "origins" || m.Text == "" {
			t.Errorf("%q became %q, %v", list, got, err)
		}
	}
}

// FuzzOrigins looks for lists that change when they are read again, or that contain an
// invalid origin.
func FuzzOrigins(f *testing.F) {
	for _, list := range []string{"https://a.example:443/ null", "app: http://[::1]:80", "HTTPS://A//", "a://b c:", "https://a:443:443"} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		got, err := originsOf(list)
		if err != nil {
			return
		}
		if again, err := originsOf(got); again != got || err != nil {
			t.Errorf("%q became %q, and that became %q, %v", list, got, again, err)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) || len(got) > 20*201 {
			t.Errorf("%q became %q", list, got)
		}
		for _, origin := range strings.Fields(got) {
			if origin == "http:" || origin == "https:" || origin == "*" {
				t.Errorf("%q lets every page in", list)
			}
		}
	})
}
