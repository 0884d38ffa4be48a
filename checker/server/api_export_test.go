package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker"
	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/checker/syncer"
	"relcheck/checker/upstream"
)

// requestExport requests the export of a product.
func (s *service) requestExport(t *testing.T, product, token string, headers ...string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequest("GET", s.URL+"/api/v1/products/"+product+"/export", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.Client().Do(r)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

// exported returns the output of relcheck release export.
func (s *service) exported(t *testing.T, product string) string {
	t.Helper()
	p, err := s.store.Product(t.Context(), product)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := upstream.WriteExport(&b, p, s.store.Entries(t.Context(), product)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// fillLayers stores releases with different layers of upstream and of the operator.
func (s *service) fillLayers(t *testing.T) {
	t.Helper()
	linux := checker.Platform{OS: "linux", Arch: "amd64"}
	list := catalog.List{Name: "github:me/app", Whole: true}
	for _, tag := range []string{"v1.0.0", "v1.1.0", "v1.2.0", "v2.0.0-rc1", "v2.0.0", "nightly"} {
		list.Entries = append(list.Entries, catalog.Entry{Tag: tag, Upstream: catalog.Layer{Title: new("Upstream " + tag), Text: new("# " + tag + " ü\n"), Prerelease: new(false),
			Files: []catalog.File{{Name: "app_linux_amd64.tar.gz", URL: "https://example.com/" + tag + "/app_linux_amd64.tar.gz", Size: 7, SHA256: strings.Repeat("a", 64)}, {Name: "app_darwin_arm64.tar.gz", URL: "https://example.com/" + tag + "/d"}}}})
	}
	for _, missing := range []string{"", "v1.2.0"} {
		list.Entries = slices.DeleteFunc(list.Entries, func(e catalog.Entry) bool { return e.Tag == missing })
		if _, err := s.store.ImportReleases(t.Context(), "opa", list, false); err != nil {
			t.Fatal(err)
		}
	}
	operator := map[string]catalog.Layer{
		"v1.0.0":     {Title: new("Operator"), Notes: new("https://example.com/notes"), Withdrawn: new(true), Reason: new("broken")},
		"v1.1.0":     {Text: new("other notes"), Files: []catalog.File{{Name: "app_linux_amd64.tar.gz", SHA512: strings.Repeat("b", 128)}, {Platform: linux}}},
		"v2.0.0-rc1": {Prerelease: new(false)},
		"v0.1.0":     {Title: new("only here"), Files: []catalog.File{{Name: "x", Platform: linux, URL: "https://example.com/x"}}},
	}
	var entries []catalog.Entry
	for tag, layer := range operator {
		entries = append(entries, catalog.Entry{Tag: tag, Operator: &layer})
	}
	if _, err := s.store.ImportReleases(t.Context(), "opa", catalog.List{Name: "file", Entries: entries}, false); err != nil {
		t.Fatal(err)
	}
}

// merged returns the releases of a product as they are offered, without IDs.
func (s *service) merged(t *testing.T, product string) (all []catalog.Release) {
	t.Helper()
	releases, err := s.store.Releases(t.Context(), product)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range releases {
		r.ID = 0
		if !r.Withdrawn {
			r.Reason = ""
		}
		r.Files = slices.Clone(r.Files)
		for i := range r.Files {
			r.Files[i].ID = 0
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b catalog.Release) int { return strings.Compare(a.Tag, b.Tag) })
	return all
}

func TestExportRoute(t *testing.T) {
	s := newService(t)
	s.fillLayers(t)
	_, token := s.token(t)
	res, body, err := s.requestExport(t, "opa", token, "Accept-Encoding", "identity")
	if want := s.exported(t, "opa"); err != nil || res.StatusCode != 200 || body != want {
		t.Errorf("got status %d, error %v, -want +got:\n%s", res.StatusCode, err, cmp.Diff(want, body))
	}
	etag := res.Header.Get("ETag")
	if res, _, _ := s.requestExport(t, "opa", token, "If-None-Match", etag); res.StatusCode != 304 {
		t.Errorf("the same ETag: got status %d, want 304", res.StatusCode)
	}
	if _, _, err := s.store.Withdraw(t.Context(), "opa", "v2.0.0", true); err != nil {
		t.Fatal(err)
	}
	if res, _, _ := s.requestExport(t, "opa", token, "If-None-Match", etag); res.StatusCode != 200 {
		t.Errorf("after a change: got status %d, want 200", res.StatusCode)
	}
	if res, body, err := s.requestExport(t, "opa", token); err != nil || !res.Uncompressed || body != s.exported(t, "opa") {
		t.Errorf("compressed: got %d bytes (error %v), want the same", len(body), err)
	}
	if res, body, _ := s.requestExport(t, "none", token); res.StatusCode != 404 || !strings.Contains(body, "unknown_product") {
		t.Errorf("unknown product: got status %d %s", res.StatusCode, body)
	}
	_, release := s.tokenOf(t, access.Release)
	if res, _, _ := s.requestExport(t, "opa", release); res.StatusCode != 403 {
		t.Errorf("a token for publishing: got status %d, want 403", res.StatusCode)
	}
	if res, _, _ := s.requestExport(t, "opa", ""); res.StatusCode != 401 {
		t.Errorf("no token: got status %d, want 401", res.StatusCode)
	}
}

// failingEntries is a store whose releases cannot be read to the end.
type failingEntries struct{ testStore }

func (f failingEntries) Entries(context.Context, string) iter.Seq2[catalog.Entry, error] {
	return func(yield func(catalog.Entry, error) bool) {
		for range 5000 {
			if !yield(catalog.Entry{Tag: "v1.0.0"}, nil) {
				return
			}
		}
		yield(catalog.Entry{}, errors.New("the disk is broken"))
	}
}

// A client notices that an export is incomplete.
func TestExportAborted(t *testing.T) {
	s := newServiceOn(t, func(h testStore) server.Store { return failingEntries{h} })
	_, token := s.token(t)
	for _, encoding := range []string{"identity", ""} {
		headers := []string{"Accept-Encoding", encoding}
		if encoding == "" {
			headers = nil
		}
		if _, body, err := s.requestExport(t, "opa", token, headers...); err == nil {
			t.Errorf("encoding %q: got %d bytes and no error", encoding, len(body))
		}
	}
}

// A relcheck that syncs with another has the same releases, with the data of its upstream
// and the changes of its operator. The same holds through a third relcheck, and after
// changes.
func TestRelcheckUpstream(t *testing.T) {
	first, second, third := newService(t), newService(t), newService(t)
	first.fillLayers(t)
	follow := func(of, from *service) *syncer.Syncer {
		t.Helper()
		_, token := from.token(t)
		url := from.URL + "/p/opa"
		if _, _, err := of.store.EditProduct(t.Context(), "opa", catalog.ProductPatch{"upstreams": "relcheck:" + url}); err != nil {
			t.Fatal(err)
		}
		of.load(t) // its settings are a part of its exports
		return &syncer.Syncer{Store: of.store, Reader: &upstream.Reader{Tokens: upstream.Tokens{strings.TrimPrefix(from.URL, "http://"): token}}}
	}
	syncs := []*syncer.Syncer{follow(second, first), follow(third, second)}
	syncAll := func() (lines []string) {
		t.Helper()
		for _, s := range syncs {
			results, err := s.Sync(t.Context(), "opa")
			if err != nil || results[0].Err != nil {
				t.Fatalf("got %v (error %v)", results, err)
			}
			lines = append(lines, results[0].String())
		}
		return lines
	}
	same := func(what string) {
		t.Helper()
		want := first.merged(t, "opa")
		for _, s := range []*service{second, third} {
			if diff := cmp.Diff(want, s.merged(t, "opa")); diff != "" {
				t.Errorf("%s: -first +following:\n%s", what, diff)
			}
		}
		// The settings and the names of the lists differ.
		strip := func(s *service, from *service) string {
			_, releases, _ := strings.Cut(s.exported(t, "opa"), `"releases":`)
			return strings.ReplaceAll(releases, `"relcheck:`+from.URL+`/p/opa"`, `"upstream"`)
		}
		if diff := cmp.Diff(strip(second, first), strip(third, second)); diff != "" {
			t.Errorf("%s: exports: -second +third:\n%s", what, diff)
		}
		if strings.Contains(second.exported(t, "opa"), `"operator"`) {
			t.Errorf("%s: the operator's layer was written", what)
		}
	}
	syncAll()
	same("the first sync")
	if got := syncAll(); got[0] != "unchanged, latest v2.0.0" || got[1] != got[0] {
		t.Errorf("got %q, want unchanged", got)
	}
	for _, tag := range []string{"v1.0.0", "v1.1.0", "v2.0.0-rc1"} {
		if _, _, err := first.store.ResetRelease(t.Context(), "opa", tag); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := first.store.Withdraw(t.Context(), "opa", "v2.0.0", true); err != nil {
		t.Fatal(err)
	}
	if got := syncAll(); !strings.Contains(got[0], "withdrawn: v2.0.0") {
		t.Errorf("got %q, want v2.0.0 withdrawn", got)
	}
	same("after changes of the operator")
}

// A relcheck that syncs an empty product with another exports the same releases, byte for
// byte, except the name of the list. The data of upstream and the changes of the operator
// there are merged into one layer, because here all of it is upstream's.
func TestRelcheckRoundTrip(t *testing.T) {
	first, second := newService(t), newService(t)
	first.fillLayers(t)
	_, token := first.token(t)
	name := "relcheck:" + first.URL + "/p/opa"
	if _, _, err := second.store.EditProduct(t.Context(), "opa", catalog.ProductPatch{"upstreams": name}); err != nil {
		t.Fatal(err)
	}
	sync := &syncer.Syncer{Store: second.store, Reader: &upstream.Reader{Tokens: upstream.Tokens{strings.TrimPrefix(first.URL, "http://"): token}}}
	if results, err := sync.Sync(t.Context(), "opa"); err != nil || results[0].Err != nil {
		t.Fatalf("got %+v (error %v)", results, err)
	}
	lines := func(s *service, list string) map[string]string {
		all := map[string]string{}
		for line := range strings.Lines(s.exported(t, "opa")) {
			if rest, ok := strings.CutPrefix(line, `{"tag":"`); ok {
				tag, _, _ := strings.Cut(rest, `"`)
				all[tag] = strings.ReplaceAll(strings.TrimRight(line, ",\n"), `"list":"`+list+`"`, `"list":"github:me/app"`)
			}
		}
		return all
	}
	from, got := lines(first, ""), lines(second, name)
	like := func(tag string, changes ...string) string {
		return strings.NewReplacer(changes...).Replace(strings.ReplaceAll(from["v2.0.0"], "v2.0.0", tag))
	}
	for tag, want := range map[string]string{
		"v2.0.0": from["v2.0.0"],
		"v1.0.0": like("v1.0.0", `"title":"Upstream v1.0.0"`, `"title":"Operator","notes":"https://example.com/notes"`, `"prerelease":false`, `"prerelease":false,"withdrawn":true,"reason":"broken"`),
		"v1.2.0": like("v1.2.0", `"prerelease":false`, `"prerelease":false,"withdrawn":true,"reason":"`+catalog.GoneReason+`"`),
	} {
		if got[tag] != want {
			t.Errorf("%s: -want +got:\n%s", tag, cmp.Diff(want, got[tag]))
		}
	}
	if len(got) != len(from) {
		t.Errorf("got %d releases, want %d", len(got), len(from))
	}
}
