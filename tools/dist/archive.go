package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// writeArchive writes the archive of a platform: a ZIP file for Windows, otherwise a
// compressed tar file.
func (r *release) writeArchive(p platform) error {
	binary, suffix, write := "relcheck", ".tar.gz", tarGz
	if p.os == "windows" {
		binary, suffix, write = "relcheck.exe", ".zip", zipped
	}
	files := []file{{name: binary, path: r.binaries[p], mode: 0o755}}
	for _, f := range r.shared {
		if p.os == "linux" || !strings.HasPrefix(f.name, "systemd/") {
			files = append(files, f)
		}
	}
	name := r.output(p.os + "_" + p.arch + suffix)
	folder := strings.TrimSuffix(path.Base(name), suffix)
	for i := range files {
		files[i].name = path.Join(folder, files[i].name)
	}
	data, err := write(files, r.time)
	if err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}

// tarGz returns a compressed tar file.
func tarGz(files []file, at time.Time) ([]byte, error) {
	data, err := tarFile(files, at)
	if err != nil {
		return nil, err
	}
	return gzipped(data)
}

// tarFile returns a tar file.
func tarFile(files []file, at time.Time) ([]byte, error) {
	var out bytes.Buffer
	t := tar.NewWriter(&out)
	for _, f := range files {
		var content []byte
		if !strings.HasSuffix(f.name, "/") {
			var err error
			if content, err = os.ReadFile(f.path); err != nil {
				return nil, err
			}
		}
		h := &tar.Header{Name: f.name, Mode: int64(f.mode), Uid: f.owner, Gid: f.owner, ModTime: at, Size: int64(len(content)), Format: tar.FormatUSTAR}
		if err := t.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := t.Write(content); err != nil {
			return nil, err
		}
	}
	err := t.Close()
	return out.Bytes(), err
}

func zipped(files []file, at time.Time) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: at}
		h.SetMode(f.mode)
		w, err := z.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		in, err := os.Open(f.path)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(w, in)
		in.Close()
		if err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return out.Bytes(), err
}

// compress compresses a file into the stage and returns its path there.
func (r *release) compress(name string) (string, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	data, err := gzipped(content)
	if err != nil {
		return "", err
	}
	compressed := filepath.Join(r.stage, filepath.Base(name)+".gz")
	return compressed, os.WriteFile(compressed, data, 0o644)
}

// gzipped compresses data. The result has no name and no time.
func gzipped(data []byte) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(data); err != nil {
		return nil, err
	}
	err = z.Close()
	return out.Bytes(), err
}
