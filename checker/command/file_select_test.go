package command

import (
	"slices"
	"testing"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// Files for no platform are always selected. Files that are named after another one are
// selected together with it.
func TestSelectFiles(t *testing.T) {
	p := catalog.Product{Name: "app"}
	r := catalog.Release{Tag: "v1.0.0"}
	for _, name := range []string{"app", "app.exe", "app_darwin_arm64.pkg", "app_linux_arm64.deb", "app_linux_arm64.tar.gz", "app_linux_arm64.tar.gz.sbom.json", "app_linux_arm64.tar.gz.sig",
		"app_windows_arm64.zip", "app_windows_arm64.zip.sig", "checksums.txt", "checksums.txt.sig", "notes.pdf"} {
		r.Files = append(r.Files, catalog.File{Name: name, URL: "https://example.com/" + name})
	}
	ranked := p.Rank([]catalog.Release{r})[0]
	for _, c := range []struct {
		platforms []checker.Platform
		want      []string
	}{
		{nil, []string{"app", "app.exe", "app_darwin_arm64.pkg", "app_linux_arm64.tar.gz", "app_linux_arm64.tar.gz.sbom.json", "app_linux_arm64.tar.gz.sig", "app_windows_arm64.zip", "app_windows_arm64.zip.sig", "checksums.txt", "checksums.txt.sig", "notes.pdf"}},
		{[]checker.Platform{{OS: "linux", Arch: "arm64"}}, []string{"app", "app_linux_arm64.tar.gz", "app_linux_arm64.tar.gz.sbom.json", "app_linux_arm64.tar.gz.sig", "checksums.txt", "checksums.txt.sig", "notes.pdf"}},
	} {
		s := selectFiles(&p, ranked, c.platforms)
		var got []string
		for _, f := range s.files {
			got = append(got, f.Name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: got files %q, want %q", c.platforms, got, c.want)
		}
	}
}
