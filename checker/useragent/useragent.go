// Package useragent parses the User-Agent headers with which clients report their version
// and platform.
package useragent

import (
	"cmp"
	"iter"
	"strings"

	"relcheck/checker"
	"relcheck/checker/download"
)

const (
	maxHeader   = 400 // bytes that are searched for a program
	maxPlatform = 120 // bytes that are searched for a platform
)

// Parse returns the version and the platform that a User-Agent header names. The platform
// is [checker.Other] if the header names none, or one that Go does not support.
//
// The usual form is that of [checker.UserAgent], "Title/1.2.3 (linux, amd64)", also in
// quotes, as the sample in OPA's privacy document has it. Other names of platforms and
// other separators are understood as well: "app/1.2.3 (Windows_NT; AMD64)",
// "app/1.2.3 linux/amd64", "app v1.2.3 (go1.26 linux-amd64)". A header with several
// products begins with the most significant one, which is the program.
//
// The version is empty unless the header names a platform, so that only checks of
// programs are counted. In Go's form, two words suffice if one of them is known, as in
// (amiga, m68k). Browsers and crawlers have neither version nor platform, and HTTP
// libraries have no version.
func Parse(header string) (version string, p checker.Platform) {
	header = strings.Trim(header, `"`)
	if strings.HasPrefix(header, "Mozilla/") || strings.HasPrefix(header, "Opera/") {
		return "", checker.Other
	}
	head, os, arch := cutPlatform(header)
	if p = (checker.Platform{OS: os, Arch: arch}); p.Known() || p == checker.Other {
		return versionAtEnd(head), p
	}
	if !strings.ContainsAny(header, " (;,") { // curl/8.7.1
		return "", checker.Other
	}
	name, version, rest := cutProgram(header[:min(len(header), maxHeader)])
	if isCrawler(name, rest) {
		return "", checker.Other
	}
	p = findPlatform(rest)
	named := p.Known()
	if !named && isWord(os) && isWord(arch) && download.Mentions(os+" "+arch) {
		version, named = versionAtEnd(head), true
	}
	if !named || libraries[strings.ToLower(name)] {
		version = ""
	}
	return version, p
}

// Platform returns the platform of a report: from its fields os and arch, and for an empty
// field from its User-Agent header.
func Platform(header, os, arch string) checker.Platform {
	if os != "" && arch != "" {
		return download.Normalize(os, arch)
	}
	_, p := Parse(header)
	if os == "" && arch == "" {
		return p
	}
	return download.Normalize(cmp.Or(os, p.OS), cmp.Or(arch, p.Arch))
}

// cutPlatform splits a header of the form "head (os, arch)". Its results are empty for
// other headers.
func cutPlatform(header string) (head, os, arch string) {
	i := strings.LastIndex(header, " (")
	if i < 0 || !strings.HasSuffix(header, ")") {
		return "", "", ""
	}
	os, arch, found := strings.Cut(header[i+2:len(header)-1], ", ")
	if !found {
		return "", "", ""
	}
	return header[:i], os, arch
}

// versionAtEnd returns the version in "Title/version", or "".
func versionAtEnd(head string) string {
	if i := strings.LastIndexByte(head, '/'); i >= 0 && checker.ValidVersion(head[i+1:]) {
		return head[i+1:]
	}
	return ""
}

// cutProgram finds the program in a header: the first "name/version" before a comment
// whose version begins with a digit, else the first with another version, else the first
// "name version". Without a program, rest is the whole header.
func cutProgram(header string) (name, version, rest string) {
	rest = header
	head, _, _ := strings.Cut(header, "(")
	for _, number := range []bool{true, false} {
		for token, after := range tokens(head) {
			i := strings.LastIndexByte(token, '/')
			if i <= 0 || !checker.ValidVersion(token[i+1:]) || isSystem(token[:i]) {
				continue
			}
			if v := token[i+1:]; number && beginsWithNumber(v) || !number && !download.Mentions(v) {
				return token[:i], v, header[after:]
			}
		}
	}
	before := ""
	for token, after := range tokens(head) {
		if before != "" && beginsWithNumber(token) && strings.Contains(token, ".") && checker.ValidVersion(token) &&
			!download.Mentions(head[:after-len(token)]) {
			return before, token, header[after:]
		}
		before = token
	}
	return "", "", rest
}

// tokens iterates over the words of a text and the positions after them. The words are
// separated by spaces, semicolons and commas.
func tokens(text string) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for i := 0; i < len(text); i++ {
			n := strings.IndexAny(text[i:], " ;,")
			if n < 0 {
				n = len(text) - i
			}
			if n > 0 && !yield(text[i:i+n], i+n) {
				return
			}
			i += n
		}
	}
}

// beginsWithNumber reports whether a version begins with a digit or with "v" and a digit.
func beginsWithNumber(version string) bool {
	version = strings.TrimPrefix(version, "v")
	return version != "" && '0' <= version[0] && version[0] <= '9'
}

// isSystem reports whether a product's name is that of an operating system, as in
// "Linux/5.15.0" and "linux/386".
func isSystem(name string) bool {
	return !strings.ContainsAny(name, "-_. ") && download.Normalize(name, "amd64").Known()
}

// findPlatform returns the platform that a text names: in its first comment, or anywhere.
func findPlatform(text string) checker.Platform {
	if _, inner, ok := strings.Cut(text, "("); ok {
		comment, _, _ := strings.Cut(inner, ")")
		if p := download.Normalize(shorten(comment), ""); p.Known() {
			return p
		}
	}
	return download.Normalize(shorten(text), "")
}

func shorten(text string) string { return text[:min(len(text), maxPlatform)] }

// isWord reports whether s can be the name of an operating system or an architecture.
func isWord(s string) bool {
	return checker.ValidVersion(s) && len(s) <= 32 && !beginsWithNumber(s)
}

// isCrawler reports whether a header is that of a crawler.
func isCrawler(name, rest string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, "bot") || strings.HasSuffix(name, "crawler") || strings.HasSuffix(name, "spider") ||
		strings.Contains(rest, "(compatible;")
}

// libraries are products whose version is not that of the client's program: HTTP
// libraries, runtimes, command line tools, and text browsers.
var libraries = func() map[string]bool {
	set := make(map[string]bool)
	for name := range strings.FieldsSeq(`
		curl libcurl pycurl wget wget2 aria2 httpie xh postmanruntime insomnia fetch powershell windowspowershell
		python python-requests python-urllib python-httpx cpython pypy httpx requests aiohttp urllib3 pip
		go-http-client go go-resty fasthttp go-github go-gitlab
		java jersey ktor-client apache-httpclient okhttp retrofit netty asynchttpclient
		node node.js node-fetch undici axios got superagent deno bun npm pnpm yarn octokit.js octokit-rest.js octokit-core.js
		ruby faraday httparty rest-client php guzzlehttp symfony perl lwp libwww-perl libwww-fm http-tiny mojolicious
		reqwest hyper ureq isahc surf dart dalvik cfnetwork alamofire winhttp wininet libsoup qtnetwork
		lynx links elinks w3m dillo netsurf konqueror`) {
		set[name] = true
	}
	return set
}()
