package hosting

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"relcheck/checker/mirror"
)

// sample is a folder with some contents.
type sample struct {
	*Files
	folder string
	log    bytes.Buffer
}

func newSample(t *testing.T) *sample {
	t.Helper()
	s := &sample{folder: t.TempDir()}
	folder, err := mirror.Open(s.folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	s.Files = New(folder, slog.New(slog.NewTextHandler(&s.log, nil)))
	return s
}

func (s *sample) add(t *testing.T, content []byte) mirror.Content {
	t.Helper()
	c, err := s.Folder.Add(t.Context(), bytes.NewReader(content), mirror.Digests{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *sample) path(sum string) string { return filepath.Join(s.folder, "sha256", sum[:2], sum) }

// TestChangeDuringDownload overwrites a file while a client reads it. The client must see that
// its download is incomplete.
func TestChangeDuringDownload(t *testing.T) {
	for _, secure := range []bool{false, true} {
		s := newSample(t)
		content := make([]byte, 32<<20)
		rand.NewChaCha8([32]byte{}).Read(content)
		c := s.add(t, content)
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := s.Serve(w, r, File{Name: "a", SHA256: c.SHA256}); err != nil {
				t.Error(err)
			}
		})
		server := httptest.NewUnstartedServer(handler)
		if secure {
			server.StartTLS()
		} else {
			server.Start()
		}
		defer server.Close()
		res, err := server.Client().Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		got := make([]byte, len(content))
		if _, err := io.ReadFull(res.Body, got[:1000]); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(s.path(c.SHA256), os.O_WRONLY, 0)
		if err == nil {
			_, err = file.WriteAt([]byte("changed"), int64(len(content)-100))
			err = errors.Join(err, file.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.ReadFull(res.Body, got[1000:])
		if !errors.Is(err, io.ErrUnexpectedEOF) || n+1000 >= len(content) {
			t.Errorf("TLS %t: got %d bytes and %v, want fewer than %d and %v", secure, n+1000, err, len(content), io.ErrUnexpectedEOF)
		}
	}
}

// TestRun checks that damaged content is found without a request, and missing content when it
// appears.
func TestRun(t *testing.T) {
	s := newSample(t)
	sound, rotten := s.add(t, []byte("sound")), s.add(t, []byte("rotten"))
	sum := sha256.Sum256([]byte("late"))
	late := mirror.Content{SHA256: hex.EncodeToString(sum[:]), Size: 4}
	path := s.path(rotten.SHA256)
	info, err := os.Stat(path)
	if err == nil {
		err = errors.Join(os.WriteFile(path, []byte("Rotten"), 0o644), os.Chtimes(path, info.ModTime(), info.ModTime()))
	}
	if err != nil {
		t.Fatal(err)
	}
	damaged, changes := make(chan string, 1), atomic.Int64{}
	s.Damaged = func(_ context.Context, sum string) { damaged <- sum }
	s.Changed = func() { changes.Add(1) }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx, func() []mirror.Content { return []mirror.Content{sound, rotten, late} })
	}()
	select {
	case got := <-damaged:
		if got != rotten.SHA256 {
			t.Errorf("got damaged content %s, want %s", got, rotten.SHA256)
		}
	case <-time.After(20 * time.Second):
		t.Error("got no damaged content after 20 s, want one")
	}
	cancel()
	<-ended
	if !s.Usable(sound.SHA256) || s.Usable(rotten.SHA256) || s.Usable(late.SHA256) || changes.Load() != 2 {
		t.Errorf("got usable %t, %t, %t after %d changes; want true, false, false after 2", s.Usable(sound.SHA256), s.Usable(rotten.SHA256), s.Usable(late.SHA256), changes.Load())
	}
	if _, err := os.Stat(filepath.Join(s.folder, "damaged", rotten.SHA256)); err != nil {
		t.Errorf("the damaged file is not in the folder damaged: %v", err)
	}
	s.add(t, []byte("late"))
	if !s.Find(late) || !s.Usable(late.SHA256) {
		t.Error("content that has appeared is not usable")
	}
}

// TestFetcherLimits checks that the number of requests that wait for fetches is limited.
func TestFetcherLimits(t *testing.T) {
	block := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	f := NewFetcher(ctx)
	var refused atomic.Int64
	ended := make(chan error, maxFetchers+10)
	for i := range maxFetchers + 10 {
		go func() {
			_, err := f.Fetch(t.Context(), fmt.Sprint(i), func(context.Context) (f File, err error) {
				<-block
				return f, errors.New("closed")
			})
			if errors.Is(err, ErrBusy) {
				refused.Add(1)
			}
			ended <- err
		}()
	}
	for deadline := time.Now().Add(20 * time.Second); refused.Load() < 10 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if got := refused.Load(); got != 10 {
		t.Errorf("got %d refused requests, want 10", got)
	}
	cancel()
	close(block)
	for range cap(ended) {
		if err := <-ended; err == nil {
			t.Error("got no error from a fetch that was cancelled")
		}
	}
}
