package upstream

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// fileSet collects the valid files of a release.
type fileSet struct {
	files   []catalog.File // never nil
	skipped []string       // describes the other files
	names   map[catalog.File]bool
}

func newFileSet() *fileSet {
	return &fileSet{files: []catalog.File{}, names: map[catalog.File]bool{}}
}

// add adds a file if err is nil and the file is valid. Otherwise it records why the file
// is skipped.
func (s *fileSet) add(f catalog.File, err error) {
	name := catalog.File{Name: f.Name, Platform: f.Platform}
	if err == nil {
		err = checkFile(&f)
	}
	if err == nil && s.names[name] {
		err = errors.New("has the name of another file")
	}
	if err != nil {
		s.skipped = append(s.skipped, fmt.Sprintf("file %s: %v", quote(f.Name), err))
		return
	}
	s.names[name] = true
	s.files = append(s.files, f)
}

// checkFile returns an error unless f can be a file of a release. It removes what is
// invalid and of minor importance: checksums, sizes and media types.
func checkFile(f *catalog.File) error {
	f.Size = max(f.Size, 0)
	f.SHA256, f.SHA512 = cleanHash(f.SHA256, 32), cleanHash(f.SHA512, 64)
	if !catalog.ValidMediaType(f.MediaType) {
		f.MediaType = ""
	}
	return f.Check()
}

// cleanHash returns a hash of n bytes in lower-case hexadecimal, or "" if it is invalid.
func cleanHash(s string, n int) string {
	if sum, err := hex.DecodeString(s); err != nil || len(sum) != n {
		return ""
	}
	return strings.ToLower(s)
}

// parseAsset parses a file of GitHub's API. GitHub lists files whose upload was
// interrupted or is running, with another state than "uploaded". Gitea and Forgejo give
// no states.
func parseAsset(raw jsontext.Value) (f catalog.File, uploaded bool, err error) {
	var a struct {
		Name        string `json:"name"`
		URL         string `json:"browser_download_url"`
		State       string `json:"state"`
		Size        int64  `json:"size"`
		ContentType string `json:"content_type"`
		Digest      string `json:"digest"`
	}
	if err := decode(raw, &a); err != nil {
		return f, false, err
	}
	f = catalog.File{Name: a.Name, URL: a.URL, Size: a.Size, MediaType: a.ContentType}
	switch algorithm, hash, _ := strings.Cut(a.Digest, ":"); strings.ToLower(algorithm) {
	case "sha256":
		f.SHA256 = hash
	case "sha512":
		f.SHA512 = hash
	}
	uploaded = a.State == "" || a.State == "uploaded"
	if uploaded {
		err = printable.CheckDownload(a.URL)
	}
	return f, uploaded, err
}

// parseFile parses the JSON form of a [catalog.File].
func parseFile(raw jsontext.Value) (f catalog.File, err error) {
	err = decode(raw, &f)
	return f, err
}
