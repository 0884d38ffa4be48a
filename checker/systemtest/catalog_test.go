package systemtest

import (
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"relcheck/checker/catalog"
	"relcheck/db"
)

// fillCatalog creates a store with a number of products and releases: one release of
// each product but the first two, and all others of opa. Each release has that many files.
func fillCatalog(t testing.TB, file string, products, releases, files int) {
	t.Helper()
	s, err := db.Open(t.Context(), file, readSchema())
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	d, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, q := range []string{
		fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO product (id, name, title, repo, module, download, notes)
			SELECT i, 'app' || i, 'App ' || i, 'me/app' || i, '', 'https://example.com/{tag}/app_{os}_{arch}', 'https://example.com/{tag}'
			FROM n WHERE i <= %[1]d`, products),
		fmt.Sprintf("UPDATE setting SET value = %d WHERE name = 'product'", products),
		`INSERT INTO release_layer (product, tag, layer, id, published, list, gone, revision)
			SELECT id, 'v1.0.0', 0, id, 1700000000, '', false, 0 FROM product WHERE id > 2`,
		fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO release_layer (product, tag, layer, id, published, list, gone, revision)
			SELECT 1, 'v1.' || i || '.0', 0, 100000 + i, 1700000000, '', false, 0 FROM n`, releases-max(products-2, 0)),
		fmt.Sprintf(`WITH RECURSIVE f (i, name) AS (SELECT 1, 'app-linux-amd64.tar.gz' UNION ALL SELECT i + 1, 'app-linux-arm' || i || '.tar.gz' FROM f WHERE i < %d)
			INSERT INTO file_layer (product, tag, layer, name, os, arch, id, url, size, sha256, sha512, media_type, gone)
			SELECT product, tag, 0, name, '', '', id * 100 + i, 'https://example.com/owner/repository/releases/download/' || tag || '/' || name, 10000000,
				'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef', '', 'application/gzip', false FROM release_layer, f`, files),
		"UPDATE setting SET value = 200000 WHERE name = 'release'", "UPDATE setting SET value = 20000000 WHERE name = 'file'",
		"UPDATE setting SET value = value + 1 WHERE name = 'catalog'",
		"UPDATE setting SET value = (SELECT count(*) FROM release_layer) WHERE name = 'releases'",
	} {
		if _, err := d.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// TestCatalogLimits checks that a store at its limits rejects one more product and one
// more release, and that existing ones can be changed.
func TestCatalogLimits(t *testing.T) {
	if race {
		t.Skip("loading 100,000 releases is slow with the race detector; make check runs this test without it")
	}
	file := filepath.Join(t.TempDir(), "a.db")
	fillCatalog(t, file, catalog.MaxProducts, catalog.MaxReleases, 10)
	token := strings.TrimSpace(relcheck(t, "token", "add", "pipeline", "--scope", "admin", "--db", file))
	served := &catalogServer{process: serve(t, file), token: token}
	relcheck(t, "product", "set", "opa", "--title", "OPA", "--db", file)
	relcheck(t, "release", "add", "opa", "v1.1.0", "--date", "2026-01-01", "--db", file)
	for _, args := range [][]string{{"product", "add", "more"}, {"release", "add", "opa", "v9.0.0"}} {
		if out, status := relcheckStatus(t, append(args, "--db", file)...); status != 1 || !strings.Contains(out, "limit reached: a store has at most") {
			t.Errorf("relcheck %v: got exit status %d and output %s, want 1 and the limit", args, status, out)
		}
	}
	for path, want := range map[string]int{
		"/api/v1/products/more": http.StatusConflict, "/api/v1/products/opa": http.StatusOK,
		"/api/v1/products/opa/releases/v9.0.0": http.StatusConflict, "/api/v1/products/opa/releases/v1.1.0": http.StatusOK,
	} {
		if err := served.put(path, "{}", want); err != nil {
			t.Error(err)
		}
	}
}

// catalogServer is a server whose catalog is changed.
type catalogServer struct {
	*process
	token string
	puts  int
}

func (c *catalogServer) put(path, body string, want int) error {
	r, err := http.NewRequest("PUT", c.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != want {
		return fmt.Errorf("PUT %s: got status %d, want %d", path, res.StatusCode, want)
	}
	return nil
}
