package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"relcheck/checker/catalog"
	"relcheck/checker/fetch"
)

// file is a file on an upstream server.
type file struct {
	content []byte
	etag    string
}

func newFile(size int) file {
	content := make([]byte, size)
	seeded := rand.NewChaCha8([32]byte{byte(size)})
	seeded.Read(content)
	return file{content, `"1"`}
}

func (f file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", f.etag)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}

func (f file) digests() catalog.File {
	a, b := sha256.Sum256(f.content), sha512.Sum512(f.content)
	return catalog.File{SHA256: hex.EncodeToString(a[:]), SHA512: hex.EncodeToString(b[:])}
}

// at returns the file as a list describes it.
func (f file) at(url string) catalog.File {
	listed := f.digests()
	listed.URL = url
	return listed
}

// cut serves the next handler's response up to a number of bytes, and then closes the
// connection.
func cut(next http.Handler, after int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&cutWriter{w, after}, r)
	})
}

type cutWriter struct {
	http.ResponseWriter
	left int
}

func (w *cutWriter) Write(p []byte) (int, error) {
	n, _ := w.ResponseWriter.Write(p[:min(len(p), w.left)])
	if w.left -= n; w.left == 0 {
		w.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, nil
}

// inTurn answers each request with the next handler, and further ones with the last.
func inTurn(all ...http.Handler) http.Handler {
	var n atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all[min(int(n.Add(1)), len(all))-1].ServeHTTP(w, r)
	})
}

func status(code int, headers ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	})
}

func folder(t testing.TB) *Folder {
	t.Helper()
	f, err := Create(t.TempDir(), "store")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// checkFolder checks that the folder contains only complete files.
func checkFolder(t testing.TB, f *Folder) (n int) {
	t.Helper()
	for c, err := range f.All() {
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Verify(t.Context(), c.SHA256); err != nil {
			t.Errorf("verify %s: %v", c.SHA256, err)
		}
		n++
	}
	return n
}

func partialFiles(t testing.TB, f *Folder) (names []string) {
	t.Helper()
	all, err := fs.ReadDir(f.root.FS(), partials)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}

func TestFetch(t *testing.T) {
	f, other := newFile(1_000_000), newFile(1_000_001)
	sum, sums := catalog.File{SHA256: f.digests().SHA256}, f.digests()
	sum512 := catalog.File{SHA512: sums.SHA512}
	changed := file{append([]byte("changed"), f.content[7:]...), `"2"`}
	weak := file{f.content, `W/"1"`}
	unsized := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			fmt.Fprintf(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%s", f.content)
			connection.Close()
		}
	})
	withoutRanges := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(f.content) })
	wrongRange := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-9/1000000")
		w.WriteHeader(http.StatusPartialContent)
		w.Write(f.content[:10])
	})
	stalling := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		w.Write(f.content[:1000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "<!DOCTYPE html><title>Sign in</title>")
	})
	for name, test := range map[string]struct {
		server http.Handler
		size   int64
		want   catalog.File
		err    string // a part of the error, or "" if the file is fetched
	}{
		"no checksum":                     {f, 0, catalog.File{}, ""},
		"SHA-256":                         {f, 1_000_000, sum, ""},
		"SHA-512":                         {f, 0, sum512, ""},
		"both":                            {f, 1_000_000, sums, ""},
		"another size":                    {f, 999_999, catalog.File{}, "has 1000000 bytes, want 999999"},
		"larger, without a length":        {unsized, 999_999, sum, "larger than 999999"},
		"smaller, without a length":       {unsized, 1_000_001, sum, "has 1000000 of 1000001 bytes"},
		"another SHA-256":                 {other, 0, sum, "got SHA-256"},
		"another SHA-512":                 {other, 0, sum512, "got SHA-512"},
		"cut":                             {inTurn(cut(f, 300_000), f), 0, sum, ""},
		"cut, no checksum":                {inTurn(cut(f, 300_000), f), 0, catalog.File{}, ""},
		"cut, weak ETag, no checksum":     {inTurn(cut(weak, 300_000), weak), 0, catalog.File{}, ""},
		"cut again and again":             {cut(f, 90_000), 0, sum, ""},
		"cut, then without ranges":        {inTurn(cut(f, 300_000), withoutRanges), 0, sum, ""},
		"cut, then a wrong range":         {inTurn(cut(f, 300_000), wrongRange, f), 0, sum, ""},
		"cut, then changed":               {inTurn(cut(f, 300_000), changed), 0, catalog.File{}, ""},
		"cut, then changed, with SHA-256": {inTurn(cut(f, 300_000), changed), 0, sum, "got SHA-256"},
		"changed, then right":             {inTurn(cut(file{changed.content, ""}, 300_000), file{f.content, ""}), 0, sum, ""},
		"never":                           {cut(f, 0), 0, sum, "EOF"},
		"no length":                       {unsized, 0, catalog.File{}, "no length"},
		"no length, with SHA-256":         {unsized, 0, sum, ""},
		"stalled":                         {inTurn(stalling, f), 0, sum, ""},
		"stalled for good":                {stalling, 0, catalog.File{}, "stalled"},
		"a page":                          {page, 0, catalog.File{}, "web page"},
		"a page, with SHA-256":            {page, 0, sum, "got SHA-256"},
		"404":                             {http.NotFoundHandler(), 0, sum, "status 404"},
		"410":                             {status(410), 0, sum, "status 410"},
		"403":                             {status(403), 0, sum, "status 403"},
		"204":                             {status(204), 0, sum, "status 204"},
		"503, then right":                 {inTurn(status(503), status(502), f), 0, sum, ""},
		"503, asks to wait":               {inTurn(status(503, "Retry-After", "1"), f), 0, sum, ""},
		"503, asks to wait in the past":   {inTurn(status(503, "Retry-After", "-1"), status(503, "Retry-After", "Thu, 01 Jan 2026 00:00:00 GMT"), f), 0, sum, ""},
		"503, asks to wait until a date":  {status(503, "Retry-After", "Thu, 01 Jan 2099 00:00:00 GMT"), 0, sum, "asks to try again in"},
		"429, asks to wait for long":      {status(429, "Retry-After", "3600"), 0, sum, "try again in 1h"},
		"503 for good":                    {status(503), 0, sum, "status 503"},
		"416 for good":                    {inTurn(cut(f, 300_000), status(416)), 0, sum, "status 416"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(test.server)
			defer s.Close()
			s.Config.ErrorLog = nil
			into := folder(t)
			fetcher := Fetcher{Folder: into, Client: s.Client(), Tries: 3, Stalled: 300 * time.Millisecond, Pause: time.Millisecond}
			var progress int64
			from := test.want
			from.URL, from.Size = strings.Replace(s.URL, "//", "//user:secret@", 1)+"/f.tar.gz", test.size
			c, err := fetcher.Fetch(t.Context(), from, func(n int64) { progress = n })
			stored := checkFolder(t, into)
			if test.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				if stored != 1 || c.Size != 1_000_000 || progress != c.Size || !into.Has(c) || test.want.HasChecksum() && c.SHA256 != sum.SHA256 {
					t.Errorf("got %d files, %+v, progress %d, want one with 1000000 bytes", stored, c, progress)
				}
				if left := partialFiles(t, into); len(left) > 0 {
					t.Errorf("got partial files %v, want none", left)
				}
				if again, err := fetcher.Fetch(t.Context(), catalog.File{SHA256: c.SHA256}, nil); again != c || err != nil {
					t.Errorf("fetch a stored file: got %+v (error %v), want %+v without a request", again, err, c)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got error %v, want %q", err, test.err)
			}
			if stored != 0 {
				t.Errorf("got %d files, want none", stored)
			}
			if left := partialFiles(t, into); errors.Is(err, ErrMismatch) && len(left) > 0 && !strings.Contains(test.err, " of ") {
				t.Errorf("got partial files %v of a file with other content, want none", left)
			}
		})
	}
}

// A second process continues a download, and verifies the content of the partial file.
func TestFetchContinues(t *testing.T) {
	f := newFile(1_000_000)
	for name, test := range map[string]struct {
		left  []byte
		known bool
		sent  int64 // bytes that the server sends again
	}{
		"complete":       {f.content, true, 0},
		"half":           {f.content[:500_000], true, 500_000},
		"one byte":       {f.content[:1], true, 999_999},
		"zeros":          {make([]byte, 500_000), true, 1_500_000},
		"too much":       {append(bytes.Clone(f.content), 0), true, 1_000_000},
		"no checksum":    {f.content[:500_000], false, 1_000_000},
		"zeros, no sums": {make([]byte, 500_000), false, 1_000_000},
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				f.ServeHTTP(&countingWriter{w, &sent}, r)
			}))
			defer s.Close()
			from := catalog.File{URL: s.URL}
			if test.known {
				from = f.at(s.URL)
			}
			from.Size = 1_000_000
			into := folder(t)
			if err := into.root.WriteFile(path.Join(partials, keyOf(from)), test.left, 0o644); err != nil {
				t.Fatal(err)
			}
			c, err := (&Fetcher{Folder: into, Client: s.Client()}).Fetch(t.Context(), from, nil)
			if err != nil || c.SHA256 != f.digests().SHA256 || checkFolder(t, into) != 1 {
				t.Errorf("got %+v (error %v), want the file", c, err)
			}
			if sent.Load() != test.sent {
				t.Errorf("the server has sent %d bytes, want %d", sent.Load(), test.sent)
			}
		})
	}
}

type countingWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.n.Add(int64(n))
	return n, err
}

// A file that lost its end in a power failure is fetched again. A file with the expected
// size is not read.
func TestFetchTruncated(t *testing.T) {
	f := newFile(100_000)
	s := httptest.NewServer(f)
	defer s.Close()
	into, want := folder(t), Content{f.digests().SHA256, 100_000}
	fetcher := Fetcher{Folder: into, Client: s.Client()}
	for _, size := range []int64{0, want.Size} {
		from := f.at(s.URL)
		from.Size = size
		if err := into.root.MkdirAll(path.Dir(contentPath(want.SHA256)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := into.root.WriteFile(contentPath(want.SHA256), f.content[:50_000], 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := fetcher.Fetch(t.Context(), from, nil)
		if c != want || err != nil || checkFolder(t, into) != 1 {
			t.Errorf("size %d: got %+v (error %v), want %+v", size, c, err, want)
		}
	}
}

// A redirect that must not be followed is not tried again.
func TestFetchRefused(t *testing.T) {
	var requests atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	}))
	defer s.Close()
	fetcher := Fetcher{Folder: folder(t), Client: fetch.NewClient()}
	if _, err := fetcher.Fetch(t.Context(), catalog.File{URL: s.URL}, nil); !errors.As(err, new(*fetch.RefusedError)) || requests.Load() != 1 {
		t.Errorf("redirect to a file: got error %v after %d requests, want it refused after 1", err, requests.Load())
	}
	if _, err := fetcher.Fetch(fetch.PublicOnly(t.Context()), catalog.File{URL: s.URL}, nil); !errors.As(err, new(*fetch.RefusedError)) || requests.Load() != 1 {
		t.Errorf("private address: got error %v after %d requests, want it refused without one", err, requests.Load()-1)
	}
}

// A download ends when the reserve of free space is reached.
func TestFetchReserve(t *testing.T) {
	f := newFile(1_000_000)
	s := httptest.NewServer(f)
	defer s.Close()
	for name, free := range map[string]int64{"too little": 999_999, "enough": 1_000_000} {
		fetcher := Fetcher{Folder: folder(t), Client: s.Client(), Reserve: func(size int64) error {
			if size > free {
				return fmt.Errorf("%w for %d bytes", ErrFull, size)
			}
			return nil
		}}
		_, err := fetcher.Fetch(t.Context(), f.at(s.URL), nil)
		if full := name == "too little"; errors.Is(err, ErrFull) != full || len(partialFiles(t, fetcher.Folder)) != 0 {
			t.Errorf("%s: got error %v and partial files %v, want none", name, err, partialFiles(t, fetcher.Folder))
		}
	}
}

// A slow download does not count as stalled while it waits because of the limit.
func TestFetchSlowly(t *testing.T) {
	f := newFile(3000)
	s := httptest.NewServer(f)
	defer s.Close()
	fetcher := Fetcher{Folder: folder(t), Client: s.Client(), Speed: rate.NewLimiter(1000, 1000), Stalled: 500 * time.Millisecond, Tries: 1}
	if _, err := fetcher.Fetch(t.Context(), catalog.File{URL: s.URL}, nil); err != nil {
		t.Error(err)
	}
}

// Several processes that fetch a file at the same time send one request.
func TestFetchOnce(t *testing.T) {
	f := newFile(1_000_000)
	var requests atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		time.Sleep(50 * time.Millisecond)
		f.ServeHTTP(w, r)
	}))
	defer s.Close()
	dir := t.TempDir()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			into, err := Create(dir, "store")
			if err != nil {
				t.Error(err)
				return
			}
			defer into.Close()
			if _, err := (&Fetcher{Folder: into, Client: s.Client()}).Fetch(t.Context(), f.at(s.URL), nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if requests.Load() != 1 {
		t.Errorf("got %d requests, want 1", requests.Load())
	}
}

func TestFetchSpeed(t *testing.T) {
	f := newFile(1_000_000)
	s := httptest.NewServer(f)
	defer s.Close()
	begin := time.Now()
	fetcher := Fetcher{Folder: folder(t), Client: s.Client(), Speed: rate.NewLimiter(2_000_000, 100_000)}
	if _, err := fetcher.Fetch(t.Context(), catalog.File{URL: s.URL}, nil); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 400*time.Millisecond {
		t.Errorf("a megabyte took %v at 2 MB/s", took)
	}
}

func TestFetchIsCanceled(t *testing.T) {
	f := newFile(1_000_000)
	s := httptest.NewServer(cut(f, 300_000))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	into := folder(t)
	_, err := (&Fetcher{Folder: into, Client: s.Client()}).Fetch(ctx, f.at(s.URL), func(n int64) {
		if n >= 100_000 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || checkFolder(t, into) != 0 || len(partialFiles(t, into)) != 1 {
		t.Errorf("got error %v, files %v, want canceled and a partial file", err, partialFiles(t, into))
	}
}

func TestFolder(t *testing.T) {
	f, ctx := folder(t), t.Context()
	content := newFile(10_000)
	c, err := f.Add(ctx, bytes.NewReader(content.content), content.digests())
	if err != nil || c != (Content{content.digests().SHA256, 10_000}) {
		t.Fatalf("got %+v (error %v)", c, err)
	}
	file, err := f.Get(c.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got, err := io.ReadAll(file); !bytes.Equal(got, content.content) || err != nil {
		t.Errorf("got %d bytes (error %v), want the content", len(got), err)
	}
	if _, err := f.Add(ctx, strings.NewReader("other"), content.digests()); !errors.Is(err, ErrMismatch) {
		t.Errorf("add another file: got error %v, want a mismatch", err)
	}
	if _, err := f.Add(ctx, io.MultiReader(strings.NewReader("half"), failingReader{}), catalog.File{}); err == nil {
		t.Error("add a file that cannot be read: got no error")
	}
	if n, left := checkFolder(t, f), partialFiles(t, f); n != 1 || len(left) > 0 {
		t.Errorf("got %d files and partial files %v, want one and none", n, left)
	}
	for _, name := range []string{"", "..", "../" + c.SHA256, strings.ToUpper(c.SHA256), c.SHA256[:63], strings.Repeat("0", 64)} {
		if _, err := f.Get(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("get %q: got error %v, want that it does not exist", name, err)
		}
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("cannot be read") }

func TestDamagedFile(t *testing.T) {
	f := folder(t)
	c, err := f.Add(t.Context(), strings.NewReader("right"), catalog.File{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(t.Context(), c.SHA256); err != nil {
		t.Errorf("verify an intact file: %v", err)
	}
	if err := f.root.WriteFile(contentPath(c.SHA256), []byte("wrong"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(t.Context(), c.SHA256); !errors.Is(err, ErrDamaged) {
		t.Errorf("verify a damaged file: got error %v", err)
	}
	if f.Has(c) {
		t.Error("a damaged file is still there")
	}
	if again, err := f.Add(t.Context(), strings.NewReader("right"), catalog.File{}); again != c || err != nil || !f.Has(c) {
		t.Errorf("add the file again: got %+v (error %v)", again, err)
	}
}

// A symbolic link in the folder does not lead out of it.
func TestFolderStaysInside(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows requires a privilege for symbolic links")
	}
	f, outside := folder(t), t.TempDir()
	sum := strings.Repeat("ab", 32)
	if err := os.WriteFile(path.Join(outside, sum), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, path.Join(f.path, contents, "ab")); err != nil {
		t.Fatal(err)
	}
	if file, err := f.Get(sum); err == nil {
		file.Close()
		t.Error("a file outside of the folder was opened")
	}
}
