package hosting

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"relcheck/checker/mirror"
	"relcheck/checker/server/inbound"
)

// File describes a file to serve.
type File struct {
	Name      string
	Content   mirror.Content
	Verified  bool   // it has matched a checksum of upstream
	MediaType string // or empty
	Fetched   time.Time
}

const (
	// smallFile is the maximum size in bytes of a file that is sent from memory, together
	// with the header of the response. The kernel sends larger ones.
	smallFile = 16 << 10
	// secureBuffer is the size of the buffer from which a file is encrypted, in bytes.
	secureBuffer = 32 << 10
)

// Serve sends a file. If it returns an error, it has sent nothing. The error wraps
// [fs.ErrNotExist], [mirror.ErrDamaged], [mirror.ErrChanging] or [ErrBusy].
func (f *Files) Serve(w http.ResponseWriter, r *http.Request, meta File) error {
	defer f.downloads.Add(-1)
	if f.downloads.Add(1) > maxDownloads {
		return ErrBusy
	}
	if r.TLS == nil && meta.Content.Size <= smallFile && wantsAll(r) {
		content, err := f.read(r.Context(), meta)
		if err == nil {
			serveSmall(w, r, meta, content)
		}
		return err
	}
	file, err := f.open(r.Context(), meta)
	if err != nil {
		return err
	}
	defer file.Close()
	if r.TLS != nil {
		if !inbound.Reserve(r.Context(), secureBuffer) {
			return ErrBusy
		}
		defer inbound.Release(r.Context())
		inbound.RenewDeadline(r.Context())
	}
	setHeaders(w.Header(), meta)
	http.ServeContent(w, r, "", meta.Fetched, file)
	return nil
}

// wantsAll reports whether a request is for a whole file, without conditions.
func wantsAll(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	for _, name := range []string{"Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"} {
		if r.Header[name] != nil {
			return false
		}
	}
	return true
}

// read returns a small content, which it has verified.
func (f *Files) read(ctx context.Context, meta File) ([]byte, error) {
	sum := meta.Content.SHA256
	if content := f.recent.get(sum); content != nil {
		return content, nil
	}
	file, err := f.open(ctx, meta)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content := make([]byte, meta.Content.Size)
	if _, err := io.ReadFull(file, content); err != nil {
		return nil, fmt.Errorf("%w: %w", mirror.ErrChanging, err)
	}
	if got := sha256.Sum256(content); hex.EncodeToString(got[:]) != sum {
		return nil, cmp.Or(f.verifyNow(ctx, sum), mirror.ErrChanging)
	}
	f.recent.add(sum, content)
	return content, nil
}

// serveSmall sends a whole small file with one system call.
func serveSmall(w http.ResponseWriter, r *http.Request, meta File, content []byte) {
	h := w.Header()
	setHeaders(h, meta)
	values := [...]string{strconv.Itoa(len(content)), "bytes", meta.Fetched.UTC().Format(http.TimeFormat)}
	h["Content-Length"], h["Accept-Ranges"] = values[0:1:1], values[1:2:2]
	if !meta.Fetched.IsZero() {
		h["Last-Modified"] = values[2:3:3]
	}
	inbound.HoldHeader(r.Context())
	w.WriteHeader(http.StatusOK)
	http.NewResponseController(w).Flush()
	w.Write(content) // an error means that the client has closed the connection
}

// ServeSum sends the SHA-256 of a file, in the format of sha256sum.
func ServeSum(w http.ResponseWriter, r *http.Request, meta File) {
	sum := meta
	sum.Name, sum.MediaType = meta.Name+".sha256", "text/plain"
	setHeaders(w.Header(), sum)
	w.Header().Set("Etag", `"`+meta.Content.SHA256+`.sha256"`)
	http.ServeContent(w, r, "", meta.Fetched, strings.NewReader(meta.Content.SHA256+"  "+meta.Name+"\n"))
}

func setHeaders(h http.Header, meta File) {
	values := [...]string{`"` + meta.Content.SHA256 + `"`, MediaType(meta.Name, meta.MediaType), disposition(meta.Name), strconv.FormatBool(meta.Verified)}
	h["Etag"], h["Content-Type"], h["Content-Disposition"], h["Relcheck-Verified"] = values[0:1:1], values[1:2:2], values[2:3:3], values[3:4:4]
	h["Cache-Control"], h["Content-Security-Policy"], h["X-Content-Type-Options"] = immutable, sandbox, noSniff
}

var (
	immutable = []string{"public, max-age=31536000, immutable"}
	sandbox   = []string{"default-src 'none'; sandbox"} // for browsers that show a file nevertheless
	noSniff   = []string{"nosniff"}
)

// disposition makes browsers save the file under its name.
func disposition(name string) string {
	if name != "" && !strings.ContainsFunc(name, needsQuotes) {
		return "attachment; filename=" + name
	}
	if d := mime.FormatMediaType("attachment", map[string]string{"filename": name}); d != "" {
		return d
	}
	return "attachment"
}

// needsQuotes reports whether a character may have to be quoted in a header.
func needsQuotes(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._+", r))
}

// mediaTypes are the types of files by extension. Package mime would depend on the machine.
var mediaTypes = map[string]string{
	".gz": "application/gzip", ".tgz": "application/gzip", ".zip": "application/zip", ".xz": "application/x-xz", ".txz": "application/x-xz",
	".bz2": "application/x-bzip2", ".tbz2": "application/x-bzip2", ".zst": "application/zstd", ".7z": "application/x-7z-compressed", ".tar": "application/x-tar",
	".deb": "application/vnd.debian.binary-package", ".rpm": "application/x-rpm", ".apk": "application/vnd.android.package-archive",
	".exe": "application/vnd.microsoft.portable-executable", ".msi": "application/x-msi", ".dmg": "application/x-apple-diskimage", ".jar": "application/java-archive",
	".txt": "text/plain", ".md": "text/plain", ".sha256": "text/plain", ".sha512": "text/plain", ".sha256sum": "text/plain", ".asc": "text/plain", ".json": "application/json",
}

const unknownType = "application/octet-stream"

// MediaType returns upstream's type of a file, or the type for its name. It does not return
// types that browsers run or show as a page of this service.
func MediaType(name, upstream string) string {
	kind, _, err := mime.ParseMediaType(upstream)
	if err != nil || kind == unknownType {
		kind = mediaTypes[strings.ToLower(path.Ext(name))]
	}
	switch {
	case kind == "text/plain":
		return "text/plain; charset=utf-8"
	case strings.HasPrefix(kind, "application/") && !strings.Contains(kind, "script") && !strings.Contains(kind, "xml") && !strings.Contains(kind, "html") &&
		kind != "application/pdf" && kind != "application/wasm":
		return kind
	}
	return unknownType
}
