package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/schema"
	"github.com/opencontainers/image-spec/specs-go/v1"
)

// readTar returns the headers and contents of a tar file.
func readTar(t *testing.T, in io.Reader) (headers []*tar.Header, contents map[string][]byte) {
	t.Helper()
	contents = map[string][]byte{}
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if err == io.EOF {
			return headers, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, h)
		if contents[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// imageFiles are the files of an image layout, of which each is marked when it is read.
type imageFiles struct {
	contents map[string][]byte
	used     map[string]bool
}

// blob returns the content of a descriptor, which must match it and the specification's
// schema of its media type.
func (f imageFiles) blob(t *testing.T, d v1.Descriptor) []byte {
	t.Helper()
	if err := d.Digest.Validate(); err != nil {
		t.Fatal(err)
	}
	name := "blobs/" + d.Digest.Algorithm().String() + "/" + d.Digest.Encoded()
	content := f.contents[name]
	f.used[name] = true
	if int64(len(content)) != d.Size || d.Digest.Algorithm().FromBytes(content) != d.Digest {
		t.Fatalf("%s: got %d bytes with another digest, want %d", name, len(content), d.Size)
	}
	if d.MediaType != v1.MediaTypeImageLayerGzip {
		if err := schema.Validator(d.MediaType).Validate(bytes.NewReader(content)); err != nil {
			t.Errorf("%s: %v", d.MediaType, err)
		}
	}
	return content
}

func decode[T any](t *testing.T, data []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// The image follows the specification of the OCI, has only the binary, and does not run as
// root.
func TestImage(t *testing.T) {
	in, err := os.Open(result(t, "image.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	_, contents := readTar(t, in)
	files := imageFiles{contents, map[string]bool{v1.ImageLayoutFile: true, v1.ImageIndexFile: true}}
	if err := schema.ValidatorMediaTypeLayoutHeader.Validate(bytes.NewReader(contents[v1.ImageLayoutFile])); err != nil {
		t.Error(err)
	}
	if err := schema.ValidatorMediaTypeImageIndex.Validate(bytes.NewReader(contents[v1.ImageIndexFile])); err != nil {
		t.Error(err)
	}
	top := decode[v1.Index](t, contents[v1.ImageIndexFile])
	if len(top.Manifests) != 1 || !strings.HasPrefix(top.Manifests[0].Annotations[v1.AnnotationRefName], "relcheck:") {
		t.Fatalf("got index %+v, want one image named relcheck:VERSION", top)
	}
	var built []string
	for _, d := range decode[v1.Index](t, files.blob(t, top.Manifests[0])).Manifests {
		built = append(built, d.Platform.OS+"/"+d.Platform.Architecture)
		m := decode[v1.Manifest](t, files.blob(t, d))
		c := decode[imageConfig](t, files.blob(t, m.Config))
		if c.OS != d.Platform.OS || c.Architecture != d.Platform.Architecture {
			t.Errorf("got platform %s/%s in the configuration, want %+v", c.OS, c.Architecture, d.Platform)
		}
		if c.Config.User != "65532:65532" || !slices.Equal(c.Config.Healthcheck.Test, []string{"CMD", "/relcheck", "healthcheck"}) {
			t.Errorf("got user %q and health check %q", c.Config.User, c.Config.Healthcheck.Test)
		}
		if len(m.Layers) != 1 || len(c.RootFS.DiffIDs) != 1 {
			t.Fatalf("got %d layers and %d digests, want 1", len(m.Layers), len(c.RootFS.DiffIDs))
		}
		checkLayer(t, files.blob(t, m.Layers[0]), c.RootFS.DiffIDs[0])
	}
	want := slices.DeleteFunc(strings.Fields(*platforms), func(p string) bool { return !strings.HasPrefix(p, "linux/") })
	if !slices.Equal(built, want) {
		t.Errorf("got platforms %q, want %q", built, want)
	}
	for name := range contents {
		if !files.used[name] {
			t.Errorf("%s is not used", name)
		}
	}
}

func checkLayer(t *testing.T, compressed []byte, id digest.Digest) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := io.ReadAll(z)
	if err != nil || digest.FromBytes(layer) != id {
		t.Fatalf("got digest %s and error %v, want %s", digest.FromBytes(layer), err, id)
	}
	headers, _ := readTar(t, bytes.NewReader(layer))
	var names []string
	for _, h := range headers {
		names = append(names, h.Name)
		if data := h.Name == "var/lib/relcheck/"; (h.Uid == containerUser) != data || h.Uid != h.Gid {
			t.Errorf("%s: got owner %d:%d", h.Name, h.Uid, h.Gid)
		}
	}
	if want := []string{"tmp/", "var/", "var/lib/", "var/lib/relcheck/", "relcheck"}; !slices.Equal(names, want) {
		t.Errorf("got %q in the layer, want %q", names, want)
	}
}

// The image runs with a read-only root and a new volume, which belongs to its user, and stops
// on a signal.
func TestRunImage(t *testing.T) {
	need(t, true, "podman", "runc")
	root, address := t.TempDir(), freeAddress(t)
	podman := []string{"--root=" + root + "/storage", "--runroot=" + root + "/run", "--tmpdir=" + root + "/tmp", "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none", "--runtime=runc"}
	t.Cleanup(func() { exec.Command("podman", append(podman, "rm", "--all", "--force", "--time=0")...).Run() })
	// Low limits need no permission to raise them.
	c := exec.Command("podman", append(podman, "run", "--rm", "--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--pull=never", "--read-only", "--read-only-tmpfs=false",
		"--env=RELCHECK_LISTEN="+address, "--volume=data:"+dataFolder, "oci-archive:"+result(t, "image.tar"))...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	program := install(t)
	for deadline := time.Now().Add(time.Minute); exec.Command(program, "check", "--as", "1.0.0", "--url", "http://"+address).Run() != nil; {
		select {
		case err := <-ended:
			t.Fatalf("podman run: %v\n%s", err, &out)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			c.Process.Kill()
			t.Fatalf("no answer: %v\n%s", <-ended, &out)
		}
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("podman run: %v\n%s", err, &out)
	}
	store := root + "/storage/volumes/data/_data/relcheck.db"
	if info, err := os.Stat(store); err != nil || info.Sys().(*syscall.Stat_t).Uid != containerUser {
		t.Errorf("%s: got error %v or another owner than %d", store, err, containerUser)
	}
}
