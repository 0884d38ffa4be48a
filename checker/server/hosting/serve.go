package hosting

import (
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"relcheck/checker/server/inbound"
)

// File describes a file to serve.
type File struct {
	Name      string
	SHA256    string
	MediaType string // or empty
	Fetched   time.Time
}

// tailSize is the size of the last part of a response in bytes. The last part is sent only
// if the file has not changed, so that a client never gets a complete response from a
// changed file.
const tailSize = 64 << 10

// writeTimeout is the maximum time that a client with TLS may take to read a part of a
// file.
const writeTimeout = 10 * time.Second

// tails are reused because each response needs one.
var tails = sync.Pool{New: func() any { return new([tailSize]byte) }}

// Serve sends a file. If it returns an error, it has sent nothing. The error wraps
// [fs.ErrNotExist], [mirror.ErrDamaged], [ErrChanging] or [ErrBusy].
func (f *Files) Serve(w http.ResponseWriter, r *http.Request, meta File) error {
	file, info, err := f.open(r.Context(), meta.SHA256)
	if err != nil {
		return err
	}
	defer file.Close()
	if !inbound.Reserve(r.Context(), int(min(info.Size(), tailSize))) {
		return ErrBusy
	}
	defer inbound.Release(r.Context())
	setHeaders(w.Header(), meta)
	body := &bodyWriter{ResponseWriter: w, file: file, info: info}
	if r.TLS != nil {
		body.control = http.NewResponseController(w)
		defer body.control.SetWriteDeadline(time.Time{})
	}
	http.ServeContent(body, r, "", meta.Fetched, file)
	return nil
}

// ServeSum sends the SHA-256 of a file, in the format of sha256sum.
func ServeSum(w http.ResponseWriter, r *http.Request, meta File) {
	sum := meta
	sum.Name, sum.MediaType = meta.Name+".sha256", "text/plain"
	setHeaders(w.Header(), sum)
	w.Header().Set("Etag", `"`+meta.SHA256+`.sha256"`)
	http.ServeContent(w, r, "", meta.Fetched, strings.NewReader(meta.SHA256+"  "+meta.Name+"\n"))
}

func setHeaders(h http.Header, meta File) {
	h.Set("Etag", `"`+meta.SHA256+`"`)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Type", MediaType(meta.Name, meta.MediaType))
	h.Set("Content-Disposition", disposition(meta.Name))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox") // for browsers that show it nevertheless
	h.Set("X-Content-Type-Options", "nosniff")
}

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

// bodyWriter writes the content of a file.
type bodyWriter struct {
	http.ResponseWriter
	file    *os.File
	info    fs.FileInfo
	control *http.ResponseController // nil without TLS
}

// ReadFrom implements [io.ReaderFrom]. Without TLS, the kernel sends all but the last part.
func (w *bodyWriter) ReadFrom(r io.Reader) (n int64, err error) {
	rest, ok := r.(*io.LimitedReader) // [http.ServeContent] knows the size
	if !ok {
		return 0, fmt.Errorf("unexpected reader %T", r)
	}
	if head := rest.N - tailSize; head > 0 {
		n, err = w.send(io.LimitReader(rest.R, head))
		if err != nil || n < head {
			return n, err
		}
	}
	tail := tails.Get().(*[tailSize]byte)
	defer tails.Put(tail)
	read, err := io.ReadFull(rest.R, tail[:rest.N-n])
	if err != nil {
		return n, err
	}
	if now, err := w.file.Stat(); err != nil || !same(w.info, now) {
		return n, ErrChanging // net/http closes the connection, because the response is too short
	}
	w.extend()
	written, err := w.ResponseWriter.Write(tail[:read])
	return n + int64(written), err
}

// send sends all of r. The client has writeTimeout for each part.
func (w *bodyWriter) send(r io.Reader) (n int64, err error) {
	if w.control == nil {
		return io.Copy(w.ResponseWriter, r)
	}
	part := tails.Get().(*[tailSize]byte)
	defer tails.Put(part)
	for {
		read, err := r.Read(part[:])
		w.extend()
		written, writeErr := w.ResponseWriter.Write(part[:read])
		n += int64(written)
		if err == io.EOF {
			err = nil
			read = 0
		}
		if err != nil || writeErr != nil || read == 0 {
			return n, firstError(writeErr, err)
		}
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// extend sets the deadline for a client with TLS to read the next part. Package inbound
// sets it for other clients.
func (w *bodyWriter) extend() {
	if w.control != nil {
		w.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	}
}
