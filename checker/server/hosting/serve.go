package hosting

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
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
	// smallFile is the maximum size in bytes of a file that is read into memory and sent
	// with the header of the response. The kernel sends larger ones.
	smallFile = 16 << 10
	// secureBuffer is the size of the buffer from which a file is encrypted, in bytes.
	secureBuffer = 32 << 10
)

// buffers are reused because each response with a small file needs one.
var buffers = sync.Pool{New: func() any { return new([smallFile]byte) }}

// Serve sends a file. If it returns an error, it has sent nothing. The error wraps
// [fs.ErrNotExist], [mirror.ErrDamaged], [mirror.ErrChanging] or [ErrBusy].
func (f *Files) Serve(w http.ResponseWriter, r *http.Request, meta File) error {
	defer f.downloads.Add(-1)
	if f.downloads.Add(1) > maxDownloads {
		return ErrBusy
	}
	file, info, err := f.open(r.Context(), meta)
	if err != nil {
		return err
	}
	defer file.Close()
	if r.TLS == nil && info.Size() <= smallFile && wantsAll(r) {
		return serveSmall(w, r, meta, file, int(info.Size()))
	}
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

// serveSmall sends a whole small file with one system call.
func serveSmall(w http.ResponseWriter, r *http.Request, meta File, file io.Reader, size int) error {
	buffer := buffers.Get().(*[smallFile]byte)
	defer buffers.Put(buffer)
	if _, err := io.ReadFull(file, buffer[:size]); err != nil {
		return fmt.Errorf("%w: %w", mirror.ErrChanging, err)
	}
	h := w.Header()
	setHeaders(h, meta)
	values := [...]string{strconv.Itoa(size), "bytes", meta.Fetched.UTC().Format(http.TimeFormat)}
	h["Content-Length"], h["Accept-Ranges"] = values[0:1:1], values[1:2:2]
	if !meta.Fetched.IsZero() {
		h["Last-Modified"] = values[2:3:3]
	}
	inbound.HoldHeader(r.Context())
	w.WriteHeader(http.StatusOK)
	http.NewResponseController(w).Flush()
	w.Write(buffer[:size]) // an error means that the client has closed the connection
	return nil
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
	if d := mime.FormatMediaType("attachment", map[string]string{"filename": name}); d != "" {
		return d
	}
	return "attachment"
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
