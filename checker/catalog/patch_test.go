package catalog_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// TestInvalidFields checks that the error about an invalid field names the field and says
// what to give instead, and that the field keeps its value.
func TestInvalidFields(t *testing.T) {
	var e catalog.ReleasePatch
	long := "https://example.com/" + strings.Repeat("a", 2000)
	product := func(change func(*catalog.Product)) error {
		p := catalog.Product{Name: "app", Title: "App"}
		change(&p)
		return catalog.CheckProduct(p)
	}
	edit := func(name, value string) error {
		_, err := catalog.ProductPatch{name: value}.Apply(catalog.Product{Name: "app", Title: "App"})
		return err
	}
	for what, c := range map[string]struct {
		err   error
		field string
	}{
		"date in words":                {e.SetDate("yesterday"), "date"},
		"day that does not exist":      {e.SetDate("2026-02-30"), "date"},
		"year 10000":                   {e.SetDate("9999-12-31T23:59:59-01:00"), "date"},
		"no date":                      {e.SetDate(""), "date"},
		"title with an escape":         {e.SetTitle("\x1b[31m"), "title"},
		"title of two lines":           {e.SetTitle("a\nb"), "title"},
		"long title of a release":      {e.SetTitle(strings.Repeat("界", 251)), "title"},
		"long notes":                   {e.SetText(strings.Repeat("a", catalog.MaxText+1)), "body"},
		"script":                       {e.SetNotes("javascript:alert(1)"), "notes"},
		"password":                     {e.SetNotes("https://me:secret@example.com"), "notes"},
		"long URL":                     {e.SetNotes(long), "notes"},
		"line break":                   {e.SetNotes("https://example.com/\n"), "notes"},
		"NUL":                          {e.SetNotes("https://example.com/\x00"), "notes"},
		"zero-width character":         {e.SetNotes("https://example.com/\u200b"), "notes"},
		"empty user":                   {e.SetNotes("https://@example.com/"), "notes"},
		"no host":                      {e.SetNotes("https://:443/"), "notes"},
		"no platform":                  {e.SetAsset("linux", "https://example.com"), "assets"},
		"unknown platform":             {e.RemoveAsset("amiga/m68k"), "assets"},
		"platform by another name":     {e.SetAsset("Linux/x86_64", "https://example.com/a"), "assets"},
		"no URL":                       {e.SetAsset("linux/amd64", ""), "assets"},
		"path of a file":               {e.SetAsset("linux/amd64", "file:///etc/passwd"), "assets"},
		"fragment of a file":           {e.SetAsset("linux/amd64", "https://example.com/#a"), "assets"},
		"right-to-left link":           {e.SetAsset("linux/amd64", "https://example.com/\u202e"), "assets"},
		"file without a name":          {e.SetFile(catalog.File{URL: "https://example.com/a"}), "files"},
		"file with a script":           {e.SetFile(catalog.File{Name: "a", URL: "javascript:alert(1)"}), "files"},
		"file with a password":         {e.SetFile(catalog.File{Name: "a", URL: "https://me:secret@example.com/a"}), "files"},
		"file with a folder":           {e.SetFile(catalog.File{Name: "../a", URL: "https://example.com/a"}), "files"},
		"file with an escape":          {e.SetFile(catalog.File{Name: "a\x1b[31m", URL: "https://example.com/a"}), "files"},
		"file with a long name":        {e.SetFile(catalog.File{Name: strings.Repeat("a", 256), URL: "https://example.com/a"}), "files"},
		"file with a negative size":    {e.SetFile(catalog.File{Name: "a", URL: "https://example.com/a", Size: -1}), "files"},
		"file with a short SHA-256":    {e.SetFile(catalog.File{Name: "a", URL: "https://example.com/a", SHA256: "abcd"}), "files"},
		"file with a SHA-512 in words": {e.SetFile(catalog.File{Name: "a", URL: "https://example.com/a", SHA512: strings.Repeat("z", 128)}), "files"},
		"file with an escape in its type": {
			e.SetFile(catalog.File{Name: "a", URL: "https://example.com/a", MediaType: "text/html\x1b"}), "files"},
		"no tag":                       {catalog.CheckTag(""), "version"},
		"tag with a space":             {catalog.CheckTag("1.0.0 "), "version"},
		"tag with a backslash":         {catalog.CheckTag(`1.0.0\n`), "version"},
		"tag with a line break":        {catalog.CheckTag("1.0.0\n"), "version"},
		"tag with an escape":           {catalog.CheckTag("1.0.0\x1b[31m"), "version"},
		"tag with NUL":                 {catalog.CheckTag("1.0.0\x00"), "version"},
		"tag with a zero-width space":  {catalog.CheckTag("1.0.0\u200b"), "version"},
		"right-to-left tag":            {catalog.CheckTag("1.0.0\u202e"), "version"},
		"tag that is not UTF-8":        {catalog.CheckTag("1.0.0\xff"), "version"},
		"long tag":                     {catalog.CheckTag("1.0.0-" + strings.Repeat("a", 200)), "version"},
		"name in capitals":             {product(func(p *catalog.Product) { p.Name = "App" }), "name"},
		"path as a name":               {product(func(p *catalog.Product) { p.Name = ".." }), "name"},
		"channel as a name":            {product(func(p *catalog.Product) { p.Name = "app@lts" }), "name"},
		"no title":                     {product(func(p *catalog.Product) { p.Title = "" }), "title"},
		"title in color":               {product(func(p *catalog.Product) { p.Title = "\x1b[31m" }), "title"},
		"right-to-left title":          {product(func(p *catalog.Product) { p.Title = "a\u202eb" }), "title"},
		"title with a hidden part":     {product(func(p *catalog.Product) { p.Title = "a\u200bb" }), "title"},
		"title with a separator":       {product(func(p *catalog.Product) { p.Title = "a\u2028b" }), "title"},
		"title of spaces":              {product(func(p *catalog.Product) { p.Title = "  " }), "title"},
		"title that is not UTF-8":      {product(func(p *catalog.Product) { p.Title = "\xff" }), "title"},
		"long title":                   {product(func(p *catalog.Product) { p.Title = strings.Repeat("界", 101) }), "title"},
		"script on Windows":            {product(func(p *catalog.Product) { p.Download = "{linux:https}{windows:javascript}://h/" }), "download"},
		"password on Plan 9":           {product(func(p *catalog.Product) { p.Notes = "https://{plan9:u:p@}h/" }), "notes"},
		"long template":                {product(func(p *catalog.Product) { p.Notes = long }), "notes"},
		"invalid second module":        {edit("module", "example.com/app /x"), "module"},
		"file template with a folder":  {edit("file", "{os}/{arch}"), "file"},
		"file template with a mistake": {edit("file", "app_{OS}"), "file"},
		"file template for no one":     {edit("file", "{windows:}"), "file"},
		"file template with an escape": {edit("file", "app\x1b[31m"), "file"},
		"file template left open":      {edit("file", "app_{os"), "file"},
		"useless prefix":               {edit("tag_prefixes", "v"), "tag_prefixes"},
		"prefixes with a comma":        {edit("tag_prefixes", "cli/,api/"), "tag_prefixes"},
		"hidden prefix":                {edit("tag_prefixes", "cli\u200b/v"), "tag_prefixes"},
		"many prefixes":                {edit("tag_prefixes", manyWords(21)), "tag_prefixes"},
		"broken suffix":                {edit("release_suffix", "[0-9"), "release_suffix"},
		"suffix with a lookahead":      {edit("release_suffix", "(?=a)"), "release_suffix"},
		"version as a range":           {edit("match", "2"), "match"},
		"range of words":               {edit("match", "<two"), "match"},
		"half a range":                 {edit("match", ">=1,"), "match"},
		"age in more than a year":      {edit("min_age", "53w"), "min_age"},
		"negative age":                 {edit("min_age", "-1h"), "min_age"},
		"age of years":                 {edit("min_age", "8761h"), "min_age"},
		"age with a fraction":          {edit("min_age", "1.5s"), "min_age"},
		"age without a unit":           {edit("min_age", "24"), "min_age"},
		"perhaps":                      {edit("require_files", "maybe"), "require_files"},
		"notes perhaps":                {edit("notes_here", "maybe"), "notes_here"},
		"links perhaps":                {edit("links", "perhaps"), "links"},
		"alias with a quote":           {edit("aliases", "my'app"), "aliases"},
		"hidden alias":                 {edit("aliases", "app\u200b"), "aliases"},
		"long alias":                   {edit("aliases", strings.Repeat("a", 101)), "aliases"},
		"many aliases":                 {edit("aliases", manyWords(21)), "aliases"},
		"URL as a host":                {edit("hosts", "https://example.com"), "hosts"},
		"host with a path":             {edit("hosts", "example.com/app"), "hosts"},
		"host with a pattern":          {edit("hosts", "*.example.com"), "hosts"},
		"host of two ports":            {edit("hosts", "example.com:80:80"), "hosts"},
		"host with an escape":          {edit("hosts", "example\x1b.com"), "hosts"},
		"long host":                    {edit("hosts", strings.Repeat("a.", 126)+"aa"), "hosts"},
		"many hosts":                   {edit("hosts", manyWords(21)), "hosts"},
		"dialect that all have":        {edit("dialects", "npm github"), "dialects"},
		"dialect with a path":          {edit("dialects", "../npm"), "dialects"},
		"many dialects":                {edit("dialects", manyWords(31)), "dialects"},
		"upstream without a kind":      {edit("upstreams", "me/app"), "upstreams"},
		"long upstream":                {edit("upstreams", "file:/"+strings.Repeat("a", 1000)), "upstreams"},
		"many upstreams":               {edit("upstreams", "file:/"+strings.ReplaceAll(strings.TrimSpace(manyWords(21)), " ", " file:/")), "upstreams"},
		"channel with a range of words": {
			edit("channels", "lts <two"), "channels"},
		"channel in capitals": {edit("channels", "LTS <2"), "channels"},
		"channel with @":      {edit("channels", "a@b <2"), "channels"},
		"two channels":        {edit("channels", "lts <2\nlts <3"), "channels"},
		"many channels":       {edit("channels", manyChannels(51)), "channels"},
	} {
		m := (*catalog.FieldError)(nil)
		if !errors.As(c.err, &m) || m.Field != c.field || m.Text == "" {
			t.Errorf("%s: got error %v, want one about the field %s", what, c.err, c.field)
		}
		if c.err != nil && strings.ContainsAny(c.err.Error(), "\x1b\x00\n") {
			t.Errorf("%s: got error %q, want no control characters", what, c.err)
		}
	}
	for what, err := range map[string]error{
		"long title and notes within a page": product(func(p *catalog.Product) { p.Title, p.Notes = strings.Repeat("界", 100), "https://example.com/#{tag}" }),
		"as many prefixes as possible":       edit("tag_prefixes", manyWords(20)),
		"as many channels as possible":       edit("channels", manyChannels(50)),
		"no age":                             edit("min_age", ""),
		"longest tag":                        catalog.CheckTag(strings.Repeat("1", 200)),
	} {
		if err != nil {
			t.Errorf("%s: got error %v, want none", what, err)
		}
	}
	if diff := cmp.Diff(catalog.Layer{}, e.Apply(catalog.Layer{})); diff != "" {
		t.Errorf("refused values are applied, -want +got:\n%s", diff)
	}
}

func manyWords(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d/v ", i)
	}
	return b.String()
}

func manyChannels(n int) string {
	var all []catalog.Channel
	for i := range n {
		all = append(all, catalog.Channel{Name: fmt.Sprint("c", i), Match: "<2"})
	}
	return catalog.FormatChannels(all)
}

// TestTags checks that the tags of real projects are accepted.
func TestTags(t *testing.T) {
	for _, tag := range []string{
		"v1.30.0+k3s1", "2026.05.01", "1.2.3.4", "1.02.3", "25.1", "2026-05-01", "1.2.0rc1", "4.2.Final", "cli/v1.2.3", "pkg@1.2.3", "@scope/pkg@1.2.3",
		"release-1.2", "bun-v1.2.3", "nightly", "latest", "REL_17_0", "n7.1", "RELEASE.2025-09-07T16-13-09Z", "jdk-21.0.4+7", "swift-6.0-RELEASE", "1.2.3~beta",
		"release/2026", "v1.0.0#1", "übung-1.0", "r1234(1)", "a:b",
	} {
		if err := catalog.CheckTag(tag); err != nil {
			t.Errorf("CheckTag(%q): %v", tag, err)
		}
	}
}

// TestReleasePatch checks that a patch sets the fields that it names and no others.
func TestReleasePatch(t *testing.T) {
	var e catalog.ReleasePatch
	e.SetPrerelease(true)
	e.SetWithdrawn(false)
	if err := errors.Join(e.SetTitle("App 1.0"), e.SetNotes(""), e.SetText("# Notes"), e.SetDate("2026-01-31T12:00:00.5+02:00")); err != nil {
		t.Fatal(err)
	}
	created, reason, prerelease, title, notes, text := time.Unix(1, 0), "broken", false, "Old", "https://example.com/", ""
	old := catalog.Layer{Created: &created, Reason: &reason, Prerelease: &prerelease, Title: &title, Notes: &notes, Text: &text}
	date, yes, no, newTitle, empty, newText := time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC), true, false, "App 1.0", "", "# Notes"
	want := catalog.Layer{Created: &created, Reason: &reason, Prerelease: &yes, Withdrawn: &no, Title: &newTitle, Notes: &empty, Text: &newText, Published: &date}
	if diff := cmp.Diff(want, e.Apply(old)); diff != "" {
		t.Errorf("Apply: -want +got:\n%s", diff)
	}
	if *old.Title != "Old" || old.Withdrawn != nil {
		t.Errorf("Apply changed its argument: %+v", old)
	}
}

// TestFilesOfPatch checks that a patch adds, changes and removes files, and that a
// platform has one file.
func TestFilesOfPatch(t *testing.T) {
	linux, mac := checker.Platform{OS: "linux", Arch: "amd64"}, checker.Platform{OS: "darwin", Arch: "arm64"}
	old := catalog.Layer{Files: []catalog.File{
		{Name: "app-1.0-linux", Platform: linux, URL: "https://example.com/app-1.0-linux"},
		{Name: "app-1.0.tar.gz", URL: "https://example.com/app-1.0.tar.gz", Size: 7},
	}}
	var e catalog.ReleasePatch
	if err := errors.Join(
		e.SetAsset("linux/amd64", "https://example.com/mirror/app?x=1"),
		e.SetAsset("darwin/arm64", "https://example.com/mac"),
		e.SetAsset("darwin/arm64", "https://example.com/mac.zip?token=1"),
		e.SetFile(catalog.File{Name: "app-1.0.tar.gz", SHA256: strings.Repeat("ab", 32)}),
		e.SetFile(catalog.File{Name: "app-1.0.zip", URL: "https://example.com/app-1.0.zip", Platform: linux, ID: 9}),
	); err != nil {
		t.Fatal(err)
	}
	want := []catalog.File{
		{Name: "app", Platform: linux, URL: "https://example.com/mirror/app?x=1"},
		{Name: "app-1.0.tar.gz", URL: "https://example.com/app-1.0.tar.gz", Size: 7, SHA256: strings.Repeat("ab", 32)},
		{Name: "app-1.0.zip", URL: "https://example.com/app-1.0.zip"},
		{Name: "mac.zip", Platform: mac, URL: "https://example.com/mac.zip?token=1"},
	}
	for range 2 { // Apply does not change its argument
		l := e.Apply(old)
		if diff := cmp.Diff(want, l.Files); diff != "" {
			t.Errorf("Apply: -want +got:\n%s", diff)
		}
		if err := l.Check(); err != nil {
			t.Errorf("the result is invalid: %v", err)
		}
		if len(old.Files) != 2 || old.Files[0].Name != "app-1.0-linux" || old.Files[1].SHA256 != "" {
			t.Fatalf("Apply changed its argument: %+v", old.Files)
		}
	}
	var removal catalog.ReleasePatch
	if err := removal.RemoveAsset("linux/amd64"); err != nil {
		t.Fatal(err)
	}
	want = []catalog.File{{Platform: linux}, old.Files[1]} // no file, whatever upstream says
	if diff := cmp.Diff(want, removal.Apply(old).Files); diff != "" {
		t.Errorf("RemoveAsset: -want +got:\n%s", diff)
	}
}

func TestFileName(t *testing.T) {
	for url, want := range map[string]string{
		"https://example.com/d/app.zip":          "app.zip",
		"https://example.com/d/app.zip?a=/b#c/d": "app.zip",
		"https://example.com/d/app%20x.zip":      "app x.zip",
		"https://example.com/d/":                 "d",
		"https://example.com/":                   "example.com",
		"https://example.com":                    "example.com",
		"https://example.com?x=/y":               "example.com",
		"https://example.com/a%2Fb":              "a%2Fb",
		"https://example.com/a%zz":               "a%zz",
		"https://example.com/%1b[31m":            "%1b[31m",
	} {
		if got := catalog.FileName(url); got != want {
			t.Errorf("FileName(%q) = %q, want %q", url, got, want)
		}
	}
}
