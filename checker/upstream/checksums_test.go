package upstream

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// Checksums that projects have published.
const (
	terraformSum  = "d3cab7d777eec230b67eb9723f3b271cd43e29c688439e4c67e3398cdaf6406b" // terraform_0.14.5_linux_arm64.zip
	goreleaserSum = "5f832026b88340318caaec5bd985951e7d363bd248bf49f25239ebb802304bcb" // goreleaser_Linux_x86_64.tar.gz v1.14.0
	kubernetesSum = "1590d4357136a71a70172e32820c4a68430d1b94cf0ac941ea17695fbe0c5440d13e26e24a2e9ebdd360c231d4cd16ffffbbe5b577c898c78f7ebdc1d8d00fa3"
)

// clearSigned is the form of syncthing's sha256sum.txt.asc and bun's SHASUMS256.txt.asc.
const clearSigned = `-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

` + terraformSum + `  syncthing-linux-amd64-v1.30.0.tar.gz
` + goreleaserSum + `  syncthing-macos-universal-v1.30.0.zip
- ---- dashes are escaped
-----BEGIN PGP SIGNATURE-----

iQEzBAEBCAAdFiEEN84QGPeS3ViD3XYB0mU7wAAAAAAFAmYAAAAACgkQ0mU7wAAA
=abcd
-----END PGP SIGNATURE-----
`

func TestChecksums(t *testing.T) {
	a, b, long := terraformSum, goreleaserSum, kubernetesSum
	tests := []struct {
		name, text string
		want       string // names with the first four digits of their hashes
	}{
		{"terraform_SHA256SUMS", a + "  terraform_0.14.5_linux_arm64.zip\n" + b + "  terraform_0.14.5_linux_amd64.zip\n",
			"terraform_0.14.5_linux_amd64.zip:5f83 terraform_0.14.5_linux_arm64.zip:d3ca"},
		{"goreleaser's checksums.txt", b + "  goreleaser_Linux_x86_64.tar.gz\n" + a + "  goreleaser_1.14.0_amd64.deb", "goreleaser_1.14.0_amd64.deb:d3ca goreleaser_Linux_x86_64.tar.gz:5f83"},
		{"kubectl.sha256", a, "app:d3ca"},
		{"kubernetes' sha512", long + "\n", "app:1590"},
		{"shasum in binary mode", a + " *node-v18.0.0.tar.gz\n", "node-v18.0.0.tar.gz:d3ca"},
		{"one space", a + " a\n", "a:d3ca"},
		{"tab", a + "\ta\n", "a:d3ca"},
		{"SHA-512", long + "  kubernetes-client-linux-amd64.tar.gz", "kubernetes-client-linux-amd64.tar.gz:1590"},
		{"both lengths", a + "  a\n" + long + "  a\n", "a:d3ca,1590"},
		{"clear-text signature", clearSigned, "syncthing-linux-amd64-v1.30.0.tar.gz:d3ca syncthing-macos-universal-v1.30.0.zip:5f83"},
		{"clear-text signature with CRLF", strings.ReplaceAll(clearSigned, "\n", "\r\n"), "syncthing-linux-amd64-v1.30.0.tar.gz:d3ca syncthing-macos-universal-v1.30.0.zip:5f83"},
		{"BSD", "SHA256 (app-1.0.tar.gz) = " + a + "\nSHA512 (app-1.0.tar.gz) = " + long + "\nMD5 (app-1.0.tar.gz) = d41d8cd98f00b204e9800998ecf8427e\nSIZE (app-1.0.tar.gz) = 5\n", "app-1.0.tar.gz:d3ca,1590"},
		{"openssl", "SHA256(app)= " + a + "\nSHA2-512(app)= " + long, "app:d3ca,1590"},
		{"other algorithms of the same length", "SHA3-256 (app) = " + a + "\nBLAKE2s256 (app) = " + a + "\nSHA512/256 (app) = " + a, ""},
		{"Get-FileHash", "\r\nAlgorithm : SHA256\r\nHash      : " + strings.ToUpper(a) + "\r\nPath      : C:\\a\\deno-x86_64-pc-windows-msvc.zip\r\n\r\n", "app:d3ca"},
		{"standard input", a + "  -\n", "app:d3ca"},
		{"CRLF", a + "  a\r\n" + b + " *b\r\n", "a:d3ca b:5f83"},
		{"comments", "# SHA-256\n\n// " + a + "  x\n; x\n" + a + "  a\n", "a:d3ca"},
		{"folders", a + "  ./dist/a\n" + b + "  dist\\b\n" + long + " *../../c\n", "a:d3ca b:5f83 c:1590"},
		{"files of one name with different hashes", a + "  amd64/app\n" + b + "  arm64/app\n" + a + "  amd64/app\n" + a + "  other\n", "other:d3ca"},
		{"different hashes of one length only", a + "  a\n" + b + "  a\n" + long + "  a\n", "a:1590"},
		{"same hash again", a + "  a\n" + strings.ToUpper(a) + "  ./a\n", "a:d3ca"},
		{"several hashes without names", a + "\n" + b + "\n", ""},
		{"upper case", strings.ToUpper(a) + "  a\n", "a:d3ca"},
		{"spaces in a name", a + "  the app.zip\n", "the app.zip:d3ca"},
		{"byte order mark", "\ufeff" + a + "  a\n", "a:d3ca"},
		{"SHA-1, SHA-384 and MD5", a[:40] + "  a\n" + long[:96] + "  b\n" + a[:32] + "  c\n", ""},
		{"hash of 65 digits", a + "0  a\n", ""},
		{"no digits", strings.Repeat("x", 64) + "  a\n", ""},
		{"hostile names", a + "  \x1b[31m\n" + a + "  a\u202e\n" + a + "  ..\n" + a + "  /\n" + a + "  a\xff\n", ""},
		{"page", "<html>" + a + "</html>", ""},
		{"empty", "", ""},
	}
	for _, test := range tests {
		got := Checksums(test.text, "app")
		var all []string
		for _, name := range slices.Sorted(maps.Keys(got)) {
			f := got[name]
			if (f != catalog.File{Name: name, SHA256: f.SHA256, SHA512: f.SHA512}) {
				t.Errorf("%s: got %+v, want a name and checksums", test.name, f)
			}
			var sums []string
			for _, sum := range []string{f.SHA256, f.SHA512} {
				if sum != "" {
					sums = append(sums, sum[:4])
				}
			}
			all = append(all, name+":"+strings.Join(sums, ","))
		}
		if got := strings.Join(all, " "); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
	if got := Checksums(a, ""); len(got) != 0 {
		t.Errorf("hash without any name: got %v, want none", got)
	}
	if got := Checksums(strings.ToUpper(a), "x")["x"].SHA256; got != a {
		t.Errorf("got %q, want %q", got, a)
	}
}

func FuzzChecksums(f *testing.F) {
	for _, seed := range []string{clearSigned, terraformSum, kubernetesSum + " *a\r\n", "SHA256 (a) = " + terraformSum, "Hash : " + goreleaserSum, "\x00\xff"} {
		f.Add(seed, "app")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		for name, f := range Checksums(text, name) {
			if f.Name != name || printable.CheckLabel(name, 255) != nil || strings.ContainsAny(name, `/\`) {
				t.Errorf("got name %q of file %q", name, f.Name)
			}
			if f.SHA256+f.SHA512 == "" || f.SHA256 != cleanHash(f.SHA256, 32) || f.SHA512 != cleanHash(f.SHA512, 64) {
				t.Errorf("%q: got checksums %q and %q", name, f.SHA256, f.SHA512)
			}
		}
	})
}

func TestChecksumFile(t *testing.T) {
	others := func(name string) bool { return name == "app.tar.gz" || name == "app" }
	for name, want := range map[string]string{
		"app.tar.gz.sha256":                "app.tar.gz",
		"app.tar.gz.SHA256SUM":             "app.tar.gz",
		"app.tar.gz.sha512.txt":            "app.tar.gz",
		"app-sha256":                       "app",
		"other.tar.gz.sha256":              "all",
		"SHA256SUMS":                       "all",
		"SHA512SUMS.txt":                   "all",
		"sha256sum.txt":                    "all",
		"checksums.txt":                    "all",
		"checksum.txt":                     "all",
		"checksums.sha256":                 "all",
		"app_1.2.3_checksums.txt":          "all",
		"app_1.2.3_checksums_sha256.txt":   "all",
		"terraform_1.9.0_SHA256SUMS":       "all",
		"SHASUMS256.txt":                   "all",
		"app_1.2.3_SHA256SUMS.sig":         "no",
		"checksums.txt.asc":                "no",
		"checksums.txt.pem":                "no",
		"app.tar.gz":                       "no",
		"app.tar.gz.md5":                   "no",
		"sha256sum-linux-amd64":            "no",
		"app_1.2.3_linux_amd64.sha256.sig": "no",
	} {
		of, ok := ChecksumFile(name, others)
		got := of
		if ok && of == "" {
			got = "all"
		} else if !ok {
			got = "no"
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
