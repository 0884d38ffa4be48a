package dialect

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"text/template"
	"time"

	"golang.org/x/mod/semver"
)

// functions are the functions of templates. Those that look into the catalog are methods
// of [view] and [release] instead.
var functions = template.FuncMap{
	"_json": encodeJSON, "_xml": encodeXML, "_text": encodeText, "_header": encodeHeader, "_url": encodeURL,
	"_range": onlyList,

	"printf": printf, "print": plainOnly(fmt.Sprint), "println": plainOnly(fmt.Sprintln),
	"html": plainOnly(template.HTMLEscaper), "js": plainOnly(template.JSEscaper), "urlquery": plainOnly(template.URLQueryEscaper),

	"notFound": func() (string, error) { return "", ErrNotFound },
	"first":    first,
	"lines":    lines,

	"semver":  func(version string) bool { return semver.IsValid("v" + version) },
	"number":  number,
	"numbers": numbers,

	"unix":   time.Time.Unix,
	"millis": func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") },
	"nanos":  time.Time.UnixNano,
	"date":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },

	"base64": func(hexadecimal string) (string, error) {
		sum, err := hex.DecodeString(hexadecimal)
		return base64.StdEncoding.EncodeToString(sum), err
	},

	"list":       func(texts ...string) []string { return texts },
	"split":      strings.Split,
	"join":       strings.Join,
	"contains":   strings.Contains,
	"hasPrefix":  strings.HasPrefix,
	"hasSuffix":  strings.HasSuffix,
	"trimPrefix": strings.TrimPrefix,
	"trimSuffix": strings.TrimSuffix,
	"lower":      strings.ToLower,
}

// plainOnly returns a function of text/template that refuses what [plain] refuses.
func plainOnly(f func(...any) string) func(...any) (string, error) {
	return func(values ...any) (string, error) {
		for _, v := range values {
			if _, err := plain(v); err != nil {
				return "", err
			}
		}
		return f(values...), nil
	}
}

func printf(format string, values ...any) (string, error) {
	text, err := plainOnly(func(values ...any) string { return fmt.Sprintf(format, values...) })(values...)
	if err == nil && strings.Contains(text, "%!") {
		err = fmt.Errorf("the values do not fit the format %q", format)
	}
	return text, err
}

// onlyList returns a list. Other values have no bound, such as numbers.
func onlyList(v any) (any, error) {
	switch reflect.ValueOf(v).Kind() {
	case reflect.Slice, reflect.Map:
		return v, nil
	}
	return nil, fmt.Errorf("range over a value of type %T: only lists have elements", v)
}

// first returns the first n releases.
func first(n int, releases []*release) []*release { return releases[:max(0, min(n, len(releases)))] }

// lines returns the first release of each minor line.
func lines(releases []*release) (heads []*release) {
	seen := map[string]bool{}
	for _, r := range releases {
		if line := r.Line(); !seen[line] {
			seen[line] = true
			heads = append(heads, r)
		}
	}
	return heads
}

// number returns the first three numbers of a version as XXYYZZ: 91700 for 9.17.
func number(version string) (n int, err error) {
	text, err := numbers(3, version)
	for part := range strings.SplitSeq(text, ".") {
		digits, _ := strconv.Atoi(part)
		if n = n*100 + digits; digits > 99 {
			err = errors.New("a number of the version has more than two digits")
		}
	}
	return n, err
}

// numbers returns the first n numbers of a version, with zeros for missing ones: 30.0.2.0
// for 4 and 30.0.2.
func numbers(n int, version string) (string, error) {
	if n < 1 || n > 10 {
		return "", fmt.Errorf("numbers: %d is not a count of numbers from 1 to 10", n)
	}
	var parts []string
	for part := range strings.SplitSeq(strings.TrimPrefix(version, "v"), ".") {
		digits := part[:len(part)-len(strings.TrimLeft(part, "0123456789"))]
		if digits == "" || len(digits) > 9 || len(parts) == n {
			break
		}
		if parts = append(parts, digits); digits != part {
			break
		}
	}
	if len(parts) == 0 {
		return "", errors.New("the version does not begin with a number")
	}
	for len(parts) < n {
		parts = append(parts, "0")
	}
	return strings.Join(parts, "."), nil
}
