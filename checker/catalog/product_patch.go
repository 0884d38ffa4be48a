package catalog

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/module"

	"relcheck/checker/printable"
	"relcheck/checker/version"
)

// maxTitle is the length of the longest title of a product, in characters.
const maxTitle = 100

// maxAge is the longest [Product.MinAge].
const maxAge = 365 * 24 * time.Hour

var (
	namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	repoPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$`)
)

// NameRule describes the valid names of products and channels.
const NameRule = "use 1 to 64 of a-z 0-9 . _ - and begin with a letter or digit"

// ValidProductName reports whether name is a valid product name.
func ValidProductName(name string) bool { return namePattern.MatchString(name) }

// ProductPatch maps names of fields to new values. See [ProductFields]. Other fields
// keep their values.
type ProductPatch map[string]string

// ProductFields lists the names of the fields that can be changed, in flags and JSON.
var ProductFields = []string{"title", "repo", "module", "download", "notes", "file", "origins", "tag_prefixes", "release_suffix", "match", "min_age", "require_files", "channels", "upstreams", "notes_here", "links",
	"aliases", "hosts", "dialects", "hidden"}

// ExportFields lists the fields that an export contains: an import does not change whose
// requests belong to a product, and whether it is hidden.
var ExportFields = slices.DeleteFunc(slices.Clone(ProductFields), func(name string) bool { return name == "hosts" || name == "hidden" })

// texts returns pointers to the fields of p that are texts.
func (p *Product) texts() map[string]*string {
	return map[string]*string{"title": &p.Title, "repo": &p.Repo, "module": &p.Module, "download": &p.Download, "notes": &p.Notes, "file": &p.File,
		"origins": &p.Origins, "tag_prefixes": &p.Prefixes, "release_suffix": &p.Suffix, "match": &p.Match, "channels": &p.Channels, "upstreams": &p.Upstreams, "links": &p.Links,
		"aliases": &p.Aliases, "hosts": &p.Hosts, "dialects": &p.Dialects}
}

// flags returns pointers to the fields of p that are true or false.
func (p *Product) flags() map[string]*bool {
	return map[string]*bool{"require_files": &p.RequireFiles, "notes_here": &p.NotesHere, "hidden": &p.Hidden}
}

// Field returns the value of a field as text.
func (p Product) Field(name string) string {
	if name == "min_age" {
		return FormatAge(p.MinAge)
	}
	if flag := p.flags()[name]; flag != nil {
		return strconv.FormatBool(*flag)
	}
	if name == "links" {
		return cmp.Or(p.Links, LinksHosted)
	}
	return *p.texts()[name]
}

// FormatAge returns a duration without the parts that are zero: "24h".
func FormatAge(d time.Duration) string {
	s := d.String()
	if s = strings.TrimSuffix(s, "m0s"); len(s) < len(d.String()) {
		s += "m"
	}
	if short, ok := strings.CutSuffix(s, "h0m"); ok {
		return short + "h"
	}
	return s
}

// Apply returns p with the changes. The title of a new product defaults to its name.
// The error is a [FieldError].
func (e ProductPatch) Apply(p Product) (Product, error) {
	isNew := p.Title == ""
	for name, field := range p.texts() {
		if value, ok := e[name]; ok {
			*field = value
		}
	}
	if isNew && p.Title == "" {
		p.Title = p.Name
	}
	var err error
	if value, ok := e["min_age"]; ok {
		if p.MinAge, err = parseAge(value); err != nil {
			return p, err
		}
	}
	for name, flag := range p.flags() {
		if value, ok := e[name]; ok {
			if *flag, err = strconv.ParseBool(value); err != nil {
				return p, fieldErrorf(name, "%q is neither true nor false", value)
			}
		}
	}
	if p.Origins, err = cleanList("origins", p.Origins, maxOrigins, cleanOrigin); err != nil {
		return p, err
	}
	if p.Upstreams, err = cleanList("upstreams", p.Upstreams, maxUpstreams, cleanUpstream); err != nil {
		return p, err
	}
	if p.Links == LinksHosted {
		p.Links = ""
	}
	if err = p.cleanDeclared(); err != nil {
		return p, err
	}
	p.Module = strings.Join(strings.Fields(p.Module), " ")
	p.Prefixes = strings.Join(strings.Fields(p.Prefixes), " ")
	p.Channels = FormatChannels(parseChannels(p.Channels))
	return p, CheckProduct(p)
}

// CheckRemote returns a [FieldError] if a change of a product is not possible over the network.
// Only commands set a file of the server as an upstream.
func (e ProductPatch) CheckRemote(old Product) error {
	for upstream := range strings.FieldsSeq(e["upstreams"]) {
		if strings.HasPrefix(upstream, string(FileUpstream)+":") && !slices.Contains(old.UpstreamList(), upstream) {
			return fieldErrorf("upstreams", "a file of the server can be an upstream only if it is set on the command line")
		}
	}
	return nil
}

// CompareSettings returns the settings of an export that p lacks, and the names of the
// fields that p has with other values.
func (p *Product) CompareSettings(export ProductPatch) (missing ProductPatch, different []string) {
	missing = ProductPatch{}
	empty := Product{Title: p.Name}
	theirs := Product{Title: export["name"]} // without settings
	for _, name := range ExportFields {
		value, ok := export[name]
		switch own := p.Field(name); {
		case !ok || value == "" || value == own || value == theirs.Field(name):
		case own == empty.Field(name):
			missing[name] = value
		default:
			different = append(different, name)
		}
	}
	return missing, different
}

func parseAge(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	age, err := ParseDuration(text)
	if err != nil || age > maxAge || age%time.Second != 0 {
		return 0, fieldErrorf("min_age", "%q is not a duration such as 24h or 7d, from 0s to 365d", text)
	}
	return age, nil
}

// ParseDuration parses weeks ("1w"), days ("7d"), or what Go writes ("90m"). It returns an
// error that wraps [strconv.ErrRange] for a negative duration.
func ParseDuration(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * day, err
	}
	if weeks, ok := strings.CutSuffix(s, "w"); ok {
		n, err := strconv.ParseUint(weeks, 10, 13)
		return time.Duration(n) * 7 * day, err
	}
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = strconv.ErrRange
	}
	return d, err
}

// CheckProduct returns a [FieldError] if a field of p is invalid.
func CheckProduct(p Product) error {
	if !ValidProductName(p.Name) {
		return fieldErrorf("name", "%q cannot be a product's name: "+NameRule, p.Name)
	}
	if err := printable.CheckLabel(p.Title, maxTitle); err != nil {
		return fieldErrorf("title", "%v", err)
	}
	if p.Repo != "" && !repoPattern.MatchString(p.Repo) {
		return fieldErrorf("repo", "%q is not of the form OWNER/REPO", p.Repo)
	}
	for path := range strings.FieldsSeq(p.Module) {
		if err := module.CheckPath(path); err != nil {
			return fieldErrorf("module", "%v", err)
		}
	}
	if err := checkTemplate("download", p.Download, printable.CheckDownload); err != nil {
		return err
	}
	if err := checkTemplate("notes", p.Notes, printable.CheckLink); err != nil {
		return err
	}
	if !slices.Contains(LinkChoices, cmp.Or(p.Links, LinksHosted)) {
		return fieldErrorf("links", "%q is none of %s", p.Links, strings.Join(LinkChoices, ", "))
	}
	if p.File != "" {
		if err := checkFileTemplate(p.File); err != nil {
			return fieldErrorf("file", "%v", err)
		}
	}
	return checkVersions(p)
}

// maxPrefixes is the number of tag prefixes that a product can have.
const maxPrefixes = 20

// checkVersions checks the fields that describe versions.
func checkVersions(p Product) error {
	prefixes := strings.Fields(p.Prefixes)
	if len(prefixes) > maxPrefixes {
		return fieldErrorf("tag_prefixes", "there are %d; give at most %d", len(prefixes), maxPrefixes)
	}
	if _, err := version.NewScheme(prefixes, ""); err != nil {
		return fieldErrorf("tag_prefixes", "%v", err)
	}
	for _, prefix := range prefixes {
		if strings.Contains(prefix, ",") {
			return fieldErrorf("tag_prefixes", "%q contains a comma: give each prefix on its own", prefix)
		}
		if err := CheckTag(prefix); err != nil {
			return fieldErrorf("tag_prefixes", "%q cannot begin a tag", prefix)
		}
	}
	suffixes, err := version.NewScheme(nil, p.Suffix)
	if err != nil {
		return fieldErrorf("release_suffix", "%v", err)
	}
	if suffixes.Parse("1-rc.1").Stable() && suffixes.Parse("1-0-x").Stable() {
		return fieldErrorf("release_suffix", "%q matches every suffix, even -rc.1: give a pattern such as [0-9]+", p.Suffix)
	}
	if err := checkRange(p.Match); err != nil {
		return err
	}
	return checkChannels(p.Channels)
}

// checkRange returns a [FieldError] unless versions can be in a range.
func checkRange(text string) error {
	r, err := version.Scheme{}.ParseRange(text)
	switch {
	case err != nil:
		return fieldErrorf("match", "%v", err)
	case r.Empty():
		return fieldErrorf("match", "range %q contains no version: give another one, such as '>=1.4,<3'", text)
	}
	return nil
}

func checkTemplate(field, template string, check func(string) error) error {
	if template == "" {
		return nil
	}
	if len(template) > printable.MaxLinkBytes {
		return fieldErrorf(field, "the template has %d bytes: give one of at most %d", len(template), printable.MaxLinkBytes)
	}
	if err := CheckTemplate(template, check); err != nil {
		return fieldErrorf(field, "%v", err)
	}
	return nil
}

// ChangedFields returns the names of the fields that differ between two products.
func ChangedFields(a, b Product) (names []string) {
	for _, name := range ProductFields {
		if a.Field(name) != b.Field(name) {
			names = append(names, name)
		}
	}
	return names
}
