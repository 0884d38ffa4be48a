package systemtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"time"

	"relcheck/checker/bundle"
	"relcheck/checker/catalog"
)

const (
	bundleFiles    = 32       // half of them random, half of them programs
	bundleFileSize = 64 << 20 // bytes
	bundleRounds   = 3

	leastBundle     = 0.7       // speed, relative to tar, zstd and sha256sum
	mostBundle      = 100 << 20 // memory in bytes
	bundleReleases  = 50_000
	bundleNotesSize = 20 << 10 // bytes
)

// bundles measures how fast a bundle of 2 GB is created and applied, and how much memory
// that takes.
//
// The floor of creating a bundle is tar | zstd at the same level, and then sha256sum of the
// files: a bundle contains the checksums of its files, and the command verifies them. The
// floor of applying it is zstd -d | tar -x, and then sha256sum of the files. All four end
// when the result is on the disk, because a bundle that is lost with the next power cut was
// not applied.
func (b *bench) bundles() {
	for _, program := range []string{"tar", "zstd", "sha256sum", "sync"} {
		if _, err := exec.LookPath(program); err != nil {
			b.Errorf("missing: %s, which make bench installs; bundles are not measured", program)
			return
		}
	}
	b.logProgress("storing %d files for a bundle", bundleFiles)
	n := newClosedNetwork(b, 1, 0, 0)
	n.relcheck("key", "trust", "@key.pub", "--db", "@empty.db")
	for i := range bundleFiles {
		n.write("file", bundleContent(b, i))
		n.relcheck("file", "add", "app", "v1.0.0", "@file", "--name", fileName(i), "--db", "@outside.db", "--files", "@outside")
	}
	const created, applied, floor = "a bundle of 2 GB is created", "a bundle of 2 GB is applied", ", tar, zstd, sha256sum"
	memory := map[string]float64{}
	run := func(what string, args ...string) sample {
		begun := time.Now()
		memory[what] = max(memory[what], b.memoryOf(n.args(args)))
		return bundleRate(time.Since(begun))
	}
	b.logProgress("bundles")
	measured := b.alternate(bundleRounds,
		trial{created, func() sample {
			os.Remove(n.path("bundle"))
			return run(created, "bundle", "create", "@bundle", "--db", "@outside.db", "--files", "@outside", "--key", "@key")
		}},
		trial{created + floor, func() sample {
			return n.shell("tar -C outside/sha256 -cf - . | zstd -q -3 -f -o floor && find outside/sha256 -type f -print0 | xargs -0 sha256sum >sums && sync floor")
		}},
		trial{applied, func() sample {
			os.RemoveAll(n.path("inside"))
			n.shell("rm -f inside.db* && cp empty.db inside.db")
			return run(applied, "bundle", "apply", "@bundle", "--db", "@inside.db", "--files", "@inside")
		}},
		trial{applied + floor, func() sample {
			os.RemoveAll(n.path("extracted"))
			return n.shell("mkdir extracted && zstd -q -dc floor | tar -C extracted -xf - && find extracted -type f -print0 | xargs -0 sha256sum >sums && find extracted -type f -print0 | xargs -0 sync")
		}})
	for _, name := range []string{created, applied} {
		b.add(row{name: name + floor, figure: measured.median(name+floor, rateOf), unit: "MB/s"})
		b.add(row{name: name, figure: measured.median(name, rateOf), unit: "MB/s", ratio: measured.ratio(name, name+floor, rateOf), least: leastBundle})
	}
	for _, name := range []string{created, applied} {
		b.addMemory(name, memory[name])
	}
	b.manyNotes(n)
}

// addMemory adds a row about the memory of a command, in bytes.
func (b *bench) addMemory(what string, size float64) {
	b.add(row{name: "memory, " + what, figure: size / (1 << 20), unit: "MB", ratio: size / mostBundle, small: true, most: 1})
}

// bundleRate returns the rate of a command for the files of a bundle.
func bundleRate(took time.Duration) sample {
	return sample{rate: bundleFiles * bundleFileSize / (1 << 20) / took.Seconds()}
}

// bundleContent returns the content of a file: random, like a compressed archive, or a
// program.
func bundleContent(b *bench, i int) []byte {
	content := make([]byte, bundleFileSize)
	if i%2 == 0 {
		rand.NewChaCha8([32]byte{byte(i)}).Read(content)
		return content
	}
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		b.Fatal(err)
	}
	binary.LittleEndian.PutUint64(content, uint64(i))
	for rest := content[8:]; len(rest) > 0; {
		rest = rest[copy(rest, program):]
	}
	return content
}

// shell runs a command line in the folder.
func (n closedNetwork) shell(line string) sample {
	n.Helper()
	cmd := exec.Command("sh", "-ec", line)
	cmd.Dir = n.dir
	begun := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		n.Fatalf("%s: %v\n%s", line, err, out)
	}
	return bundleRate(time.Since(begun))
}

// memoryOf runs a relcheck command and returns its largest memory, in bytes. The system's own
// figure at its end is useless: it includes the memory of the process that started it.
func (b *bench) memoryOf(args []string) float64 {
	b.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = environment("relcheck")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for most := int64(0); ; time.Sleep(5 * time.Millisecond) {
		select {
		case err := <-ended:
			if err != nil || most == 0 {
				b.Fatalf("relcheck %s: %v\n%s", strings.Join(args, " "), err, &out)
			}
			return float64(most)
		default:
			if peak, err := readMemory(cmd.Process.Pid, "VmHWM"); err == nil { // else it has ended
				most = max(most, peak)
			}
		}
	}
}

// manyNotes measures the memory of bundles with many releases with long notes: when all are
// new, when all have changed, and when they are put into a new bundle.
func (b *bench) manyNotes(n closedNetwork) {
	b.logProgress("bundles of %d releases with notes of %d KB", bundleReleases, bundleNotesSize>>10)
	os.RemoveAll(n.path("inside"))
	n.shell("rm -f inside.db* && cp empty.db inside.db")
	const of = ", 50,000 releases with notes of 20 KB"
	for i, what := range []string{"a bundle is applied", "a bundle is applied that changes all"} {
		file := fmt.Sprint("notes", i)
		n.notesBundle(file, int64(i+1))
		b.addMemory(what+of, b.memoryOf(n.args([]string{"bundle", "apply", "@" + file, "--db", "@inside.db"})))
	}
	b.addMemory("a bundle is created"+of, b.memoryOf(n.args([]string{"bundle", "create", "@again", "--db", "@inside.db", "--key", "@key"})))
}

// notesBundle writes a bundle of releases with long notes.
func (n closedNetwork) notesBundle(file string, sequence int64) {
	n.Helper()
	out, err := os.Create(n.path(file))
	if err != nil {
		n.Fatal(err)
	}
	defer out.Close()
	w, err := bundle.NewWriter()
	if err != nil {
		n.Fatal(err)
	}
	defer w.Close()
	err = w.Product(&bundle.Product{Name: "many", Sequence: sequence, Fields: catalog.ProductPatch{"title": "Many"}})
	for i := range bundleReleases {
		text := string(bytes.Repeat(fmt.Appendf(nil, "* change %d of release %d\n", sequence, i), bundleNotesSize/30))
		err = errors.Join(err, w.Release(&bundle.Release{Tag: fmt.Sprintf("v1.%d.0", i), Layer: catalog.Layer{Text: &text}}))
	}
	if err == nil {
		_, err = w.Write(out, bundle.Header{Store: "s", Created: time.Now()}, n.signer("key"), nil, func(string) (io.ReadCloser, error) { return nil, io.EOF })
	}
	if err != nil {
		n.Fatal(err)
	}
}
