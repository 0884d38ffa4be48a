package download

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// project is a release of a project: its files, and the downloads that the project itself
// names.
type project struct {
	Options
	sources   []string
	files     []File
	downloads map[string]string
}

// readProject reads a file of testdata/projects: lines "key: value", then the names of
// all files, then lines "platform name".
func readProject(t testing.TB, path string) project {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := project{downloads: make(map[string]string)}
	section := ""
	for scan := bufio.NewScanner(f); scan.Scan(); {
		line := scan.Text()
		key, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "":
		case line == "files:" || line == "downloads:":
			section = line
		case section == "files:":
			p.files = append(p.files, File{Name: line, URL: "https://example.com/" + line})
		case section == "downloads:":
			platform, name, _ := strings.Cut(line, " ")
			p.downloads[platform] = name
		case key == "product":
			p.Product = value
		case key == "repository":
			p.Repository = value
		case key == "tag":
			p.Tag = value
		case key == "source":
			p.sources = append(p.sources, value)
		case key == "note":
		default:
			t.Fatalf("%s: unknown line %q", path, line)
		}
	}
	return p
}

func readProjects(t testing.TB) map[string]project {
	t.Helper()
	paths, err := filepath.Glob("testdata/projects/*.txt")
	if err != nil || len(paths) < 16 {
		t.Fatalf("found %d projects (%v), want at least 16", len(paths), err)
	}
	projects := make(map[string]project)
	for _, path := range paths {
		projects[strings.TrimSuffix(filepath.Base(path), ".txt")] = readProject(t, path)
	}
	return projects
}

// chosen returns the names of the files that are chosen, by platform.
func chosen(files []File, o Options) map[string]string {
	names := make(map[string]string)
	for p, c := range Choose(files, o).Downloads {
		names[p.String()] = files[c.File].Name
	}
	return names
}

// TestProjects compares the downloads of real releases with the ones that the projects'
// installers and instructions name. No other platform may have a download.
func TestProjects(t *testing.T) {
	for name, p := range readProjects(t) {
		if len(p.sources) < 1 || p.Product == "" || p.Repository == "" || p.Tag == "" {
			t.Errorf("%s: the file gives no source, product, repository or tag", name)
		}
		for range 2 {
			if diff := cmp.Diff(p.downloads, chosen(p.files, p.Options)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", name, diff)
			}
			slices.Reverse(p.files)
		}
	}
}

// TestProjectsOfAnotherName checks which files are chosen if no file has the name of the
// product: the same ones, as long as one program has the most platforms.
func TestProjectsOfAnotherName(t *testing.T) {
	for name, p := range readProjects(t) {
		switch name {
		case "k3s": // a file without a platform must be named like the product
			delete(p.downloads, "linux/amd64")
		case "vmutils": // another program of the release is found instead
			p.replace("vmutils", "victoria-metrics")
		case "grpc-gateway": // of two programs for the same platforms, all files are of one
			p.replace("protoc-gen-grpc-gateway", "protoc-gen-openapiv2")
		}
		p.Product, p.Repository = "acme", "acme/acme"
		if diff := cmp.Diff(p.downloads, chosen(p.files, p.Options)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

// replace replaces the name of the program in the wanted downloads.
func (p *project) replace(program, other string) {
	for platform, name := range p.downloads {
		p.downloads[platform] = strings.Replace(name, program, other, 1)
	}
}

// TestSelectionIsComplete checks that each file of a release is chosen, is a rival of a
// chosen file, or has a reason for being neither.
func TestSelectionIsComplete(t *testing.T) {
	for name, p := range readProjects(t) {
		s := Choose(p.files, p.Options)
		competes := make([]bool, len(p.files))
		for _, c := range s.Downloads {
			if c.Reason == "" {
				t.Errorf("%s: %s is chosen without a reason", name, p.files[c.File].Name)
			}
			competes[c.File] = true
			for _, o := range c.Others {
				if o.Reason == "" {
					t.Errorf("%s: %s loses without a reason", name, p.files[o.File].Name)
				}
				competes[o.File] = true
			}
		}
		for i, f := range p.files {
			if competes[i] == (s.Unused[i] != "") {
				t.Errorf("%s: %s competes: %v, but Unused is %q", name, f.Name, competes[i], s.Unused[i])
			}
		}
	}
}

func BenchmarkChoose(b *testing.B) {
	p := readProject(b, "testdata/projects/victoria-metrics.txt")
	b.ReportAllocs()
	for b.Loop() {
		Choose(p.files, p.Options)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(p.files)), "ns/file")
}
