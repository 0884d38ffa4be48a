package systemtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/mirror"
	"relcheck/db"
	"relcheck/db/pgtest"
)

// randomBytes returns n bytes that do not compress.
func randomBytes(n int) []byte {
	all := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(all)
	return all
}

func sha256Of(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// hostFile adds a release of opa with a file to a store, and the content to a folder.
func hostFile(t testing.TB, store, folder, tag, name string, content []byte) {
	t.Helper()
	ctx := context.Background()
	s, err := db.Open(ctx, store, readSchema())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id, err := s.ID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	f, err := mirror.Create(folder, fmt.Sprintf("%016x", id))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := f.Add(ctx, bytes.NewReader(content), catalog.File{})
	if err == nil {
		_, err = s.ImportReleases(ctx, "opa", catalog.ListOf("test", catalog.Release{Tag: tag}), true)
	}
	if err == nil {
		err = s.HostFile(ctx, "opa", tag, catalog.HostedFile{Name: name, SHA256: c.SHA256, Size: c.Size, Fetched: time.Now()})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestSlowDownload downloads a file for longer than other responses may take, with and
// without TLS.
func TestSlowDownload(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 seconds")
	}
	t.Parallel()
	content := randomBytes(24 << 20)
	pair := newKeyPair(t, 1)
	secure := startTLS(t, pair)
	secure.stop(t)
	for name, flags := range map[string][]string{"HTTP": nil, "TLS": {"--tls-cert", secure.cert, "--tls-key", secure.key}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, folder := filepath.Join(t.TempDir(), "relcheck.db"), t.TempDir()
			hostFile(t, store, folder, "v1.0.0", "opa_linux_amd64", content)
			s := serve(t, store, append(flags, "--files", folder)...)
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ReadBufferSize: 4 << 10}}
			defer client.CloseIdleConnections()
			res, err := client.Get(s.url + "/files/opa/v1.0.0/opa_linux_amd64")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			got, begun := bytes.Buffer{}, time.Now()
			for err == nil {
				_, err = io.CopyN(&got, res.Body, 1<<20)
				time.Sleep(800 * time.Millisecond)
			}
			if err != io.EOF || !bytes.Equal(got.Bytes(), content) {
				t.Errorf("got %d bytes and %v after %v, want the whole file", got.Len(), err, time.Since(begun))
			}
		})
	}
}

// slowOrigin serves content slowly, and supports ranges.
func slowOrigin(t testing.TB, content []byte) *httptest.Server {
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		http.ServeContent(w, r, "", time.Time{}, &slowContent{Reader: bytes.NewReader(content)})
	}))
	t.Cleanup(o.Close)
	return o
}

// slowContent reads 64 KB at a time, a millisecond apart.
type slowContent struct{ *bytes.Reader }

func (s *slowContent) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return s.Reader.Read(p[:min(len(p), 64<<10)])
}

func (s *slowContent) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{s}) }

// TestKilledWhileFetching kills a server at random times while it fetches a file on demand.
// No complete response may have other content, and in the end the file must be fetched.
func TestKilledWhileFetching(t *testing.T) {
	t.Parallel()
	content := randomBytes(8 << 20)
	o := slowOrigin(t, content)
	store, folder := filepath.Join(t.TempDir(), "relcheck.db"), t.TempDir()
	hostFile(t, store, folder, "v0.1.0", "other", []byte("other"))
	addFile(t, store, catalog.File{Name: "opa_linux_amd64", URL: o.URL + "/opa", SHA256: sha256Of(content)})
	kills := 20
	if testing.Short() {
		kills = 3
	}
	for i := range kills + 1 {
		s := serve(t, store, "--files", folder, "--fetch-on-demand")
		if i < kills {
			death := time.AfterFunc(time.Duration(rand.IntN(300))*time.Millisecond, func() { s.cmd.Process.Kill() })
			defer death.Stop()
		}
		var clients sync.WaitGroup
		for range 3 {
			clients.Go(func() {
				res, err := http.Get(s.url + "/files/opa/v1.0.0/opa_linux_amd64")
				if err != nil {
					if i == kills {
						t.Errorf("last run: %v", err)
					}
					return
				}
				defer res.Body.Close()
				got, err := io.ReadAll(res.Body)
				if err == nil && (res.StatusCode != 200 || !bytes.Equal(got, content)) {
					t.Errorf("got status %d and %d bytes without an error, want the whole file: %.200s", res.StatusCode, len(got), got)
				}
				if err != nil && i == kills {
					t.Errorf("last run: %v", err)
				}
			})
		}
		clients.Wait()
		s.kill()
	}
	if err := (walk{t, folder}).onlyWhole(); err != nil {
		t.Error(err)
	}
}

// addFile adds a file to release v1.0.0 of opa, as upstream lists it.
func addFile(t testing.TB, store string, f catalog.File) {
	t.Helper()
	ctx := context.Background()
	s, err := db.Open(ctx, store, readSchema())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.ImportReleases(ctx, "opa", catalog.ListOf("files", catalog.Release{Tag: "v1.0.0", Files: []catalog.File{f}}), true); err != nil {
		t.Fatal(err)
	}
	// A server fetches a file from a private address only if the host is an upstream.
	if _, _, err := s.EditProduct(ctx, "opa", catalog.ProductPatch{"upstreams": "relcheck:" + strings.TrimSuffix(f.URL, "/opa") + "/p/opa"}); err != nil {
		t.Fatal(err)
	}
}

// walk checks the contents of a folder of files.
type walk struct {
	testing.TB
	folder string
}

// onlyWhole returns an error if the name of a file is not its SHA-256.
func (w walk) onlyWhole() error {
	return filepath.WalkDir(filepath.Join(w.folder, "sha256"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil && sha256Of(content) != entry.Name() {
			err = fmt.Errorf("file %s has other content, of %d bytes", entry.Name(), len(content))
		}
		return err
	})
}

// TestServersShareFiles fetches a file with one of two servers that share a database and a
// folder. Both must serve and link to the file within two seconds. Both must stop after the
// file is damaged.
func TestServersShareFiles(t *testing.T) {
	content := bytes.Repeat([]byte("shared content "), 2000) // a small file would be sent from memory
	o := slowOrigin(t, content)
	name, folder := pgtest.WithoutPassword(pgtest.Database(t)), t.TempDir()
	t.Setenv("PGPASSWORD", pgtest.Password)
	addFile(t, name, catalog.File{Name: "opa_linux_amd64", URL: o.URL + "/opa_linux_amd64", SHA256: sha256Of(content)})
	fetching, other := serve(t, name, "--files", folder, "--fetch-on-demand"), serve(t, name, "--files", folder)
	third := serve(t, name, "--files", t.TempDir()) // has another folder
	path := "/files/opa/v1.0.0/opa_linux_amd64"
	if body, status := getText(t, other.url+path); status != 404 {
		t.Errorf("before the fetch: got status %d and %q, want 404", status, body)
	}
	if body, status := getText(t, fetching.url+path); status != 200 || body != string(content) {
		t.Fatalf("fetch: got status %d and %q, want the file", status, body)
	}
	begun := time.Now()
	waitFor(t, "links to the file", func() bool {
		body, status := getText(t, other.url+path)
		latest, _ := getText(t, other.url+"/repos/open-policy-agent/opa/releases/latest")
		return status == 200 && body == string(content) && strings.Contains(latest, other.url+path)
	})
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("the other server served the file after %v, want at most 2 s", took)
	}
	if latest, _ := getText(t, third.url+"/repos/open-policy-agent/opa/releases/latest"); !strings.Contains(latest, o.URL+"/opa_linux_amd64") {
		t.Errorf("server with another folder: got %s, want a link to upstream", latest)
	}
	sum := sha256Of(content)
	if err := os.WriteFile(filepath.Join(folder, "sha256", sum[:2], sum), bytes.ToUpper(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if body, status := getText(t, other.url+path); status != 503 || !strings.Contains(body, "damaged") {
		t.Errorf("damaged file: got status %d and %q, want 503", status, body)
	}
	if files := relcheck(t, "file", "list", "--db", name); !strings.Contains(files, "damaged") {
		t.Errorf("got %s, want a damaged file", files)
	}
	waitFor(t, "links to upstream", func() bool {
		latest, _ := getText(t, other.url+"/repos/open-policy-agent/opa/releases/latest")
		return strings.Contains(latest, o.URL+"/opa_linux_amd64")
	})
	if body, status := getText(t, fetching.url+path); status != 200 || body != string(content) {
		t.Errorf("server that fetches: got status %d and %q, want the file, fetched again", status, body)
	}
	if files := relcheck(t, "file", "list", "--db", name); strings.Contains(files, "damaged") {
		t.Errorf("after the file was fetched again: got %s, want no damaged file", files)
	}
}

// getText returns the body and status of a response.
func getText(t testing.TB, url string) (body string, status int) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return string(text), res.StatusCode
}
