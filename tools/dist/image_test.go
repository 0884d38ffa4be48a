package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
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
		c := decode[struct {
			v1.Image
			Config struct {
				v1.ImageConfig
				Healthcheck struct{ Test []string }
			} `json:"config"`
		}](t, files.blob(t, m.Config))
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
	headers, contents := readTar(t, bytes.NewReader(layer))
	var names []string
	for _, h := range headers {
		names = append(names, h.Name)
		if data := h.Name == "var/lib/relcheck/"; (h.Uid == containerUser) != data || h.Uid != h.Gid {
			t.Errorf("%s: got owner %d:%d", h.Name, h.Uid, h.Gid)
		}
	}
	want := []string{"etc/", "etc/ssl/", "etc/ssl/certs/", "etc/ssl/certs/ca-certificates.crt", "relcheck", "tmp/", "var/", "var/lib/", "var/lib/relcheck/"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q in the layer, want %q", names, want)
	}
	trusted := map[string]bool{}
	for block, rest := pem.Decode(contents["etc/ssl/certs/ca-certificates.crt"]); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		trusted[c.Subject.CommonName] = true
	}
	// For GitHub, Go's module proxy and Let's Encrypt.
	for _, name := range []string{"USERTrust ECC Certification Authority", "GTS Root R1", "ISRG Root X1"} {
		if !trusted[name] {
			t.Errorf("got %d certificates, want one of %s", len(trusted), name)
		}
	}
}

// The image runs with a read-only root and a new volume, which belongs to its user. It is
// healthy, and stops on a signal. It trusts the certificates that replace those of public
// authorities.
func TestRunImage(t *testing.T) {
	need(t, true, "podman", "runc")
	root, address, image, program := t.TempDir(), freeAddress(t), "oci-archive:"+result(t, "image.tar"), install(t)
	podman := func(args ...string) *exec.Cmd {
		global := []string{"--root=" + root + "/storage", "--runroot=" + root + "/run", "--tmpdir=" + root + "/tmp", "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none", "--runtime=runc"}
		if args[0] == "run" { // low limits need no permission to raise them
			args = append([]string{"run", "--rm", "--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--pull=never", "--read-only", "--read-only-tmpfs=false"}, args[1:]...)
		}
		return exec.Command("podman", append(global, args...)...)
	}
	t.Cleanup(func() { podman("rm", "--all", "--force", "--time=0").Run() })
	c := podman("run", "--name=relcheck", "--env=RELCHECK_LISTEN="+address, "--volume=data:"+dataFolder, image)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
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
	if out, err := podman("exec", "relcheck", "/relcheck", "healthcheck").CombinedOutput(); err != nil {
		t.Errorf("podman exec relcheck /relcheck healthcheck: %v\n%s", err, out)
	}
	certificate, key := newCertificate(t, root, "localhost")
	if err := os.Chmod(certificate, 0o644); err != nil { // the user of the image reads it
		t.Fatal(err)
	}
	secure := freeAddress(t)
	background(t, nil, program, "serve", "--db="+root+"/secure.db", "--listen", secure, "--tls-cert", certificate, "--tls-key", key)
	check := []string{"check", "--as=1.0.0", "--url=https://localhost" + secure[strings.LastIndex(secure, ":"):]}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		out, err := podman(append([]string{"run", "--volume=" + certificate + ":" + certificatesFile + ":ro", image}, check...)...).CombinedOutput()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("podman run check: %v\n%s", err, out)
		}
	}
	if out, err := podman(append([]string{"run", image}, check...)...).CombinedOutput(); err == nil || !strings.Contains(string(out), "unknown authority") {
		t.Errorf("got error %v with an unknown authority, want one\n%s", err, out)
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
