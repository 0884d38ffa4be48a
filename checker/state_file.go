package checker

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
)

// maxState is the maximum size of a state file, in bytes.
const maxState = 4 << 10

// never is written instead of a date as long as no answer had one.
const never = "never"

// stateFile is a locked state file. Its methods accept nil, which remembers nothing.
type stateFile struct {
	path, service string // see [serviceName]
	days          stateDays
	lock          *os.File
}

// stateDays are the contents of a state file: the days of the last answers, by service.
type stateDays map[string]Last

// openStateFile locks and reads a state file. It returns nil if path is empty.
//
// It also writes the file, because a client that sends its last day must be able to
// store the next one: otherwise, the service would count each of its reports as the
// first of the day.
func openStateFile(path, service string) (*stateFile, error) {
	if path == "" {
		return nil, nil
	}
	lock, err := openLock(path+".lock", os.O_CREATE)
	if err != nil {
		return nil, err
	}
	s := &stateFile{path: path, service: service, lock: lock}
	if s.days, err = readStateFile(path, service); err == nil {
		err = s.write()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// last returns what the next report contains.
func (s *stateFile) last() Last {
	if s == nil {
		return CannotRemember
	}
	return s.days[s.service]
}

// store stores the day of an answer, if it has one. The clocks of a service's servers
// differ at midnight: the day before the stored one is not stored, because the next
// report would count as the first of its day again.
func (s *stateFile) store(day string) error {
	last, err := ParseLast(day)
	if s == nil || err != nil {
		return nil
	}
	if known := s.days[s.service]; last == known || last == known-1 {
		return nil
	}
	s.days[s.service] = last
	return s.write()
}

// write replaces the file. Only the process that has the lock calls it.
func (s *stateFile) write() error {
	next, err := s.days.writeNext(s.path)
	if err != nil {
		return err
	}
	if err := os.Rename(next, s.path); err != nil {
		os.Remove(next)
		return err
	}
	return nil
}

func (s *stateFile) close() {
	if s != nil {
		s.lock.Close()
	}
}

// peekStateFile returns what the next report would contain, and leaves no file behind.
func peekStateFile(path, service string) Last {
	if path == "" {
		return CannotRemember
	}
	lock, err := openLock(path+".lock", 0)
	if err == nil {
		defer lock.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return CannotRemember
	}
	days, err := readStateFile(path, service)
	if err != nil {
		return CannotRemember
	}
	next, err := days.writeNext(path)
	if err != nil {
		return CannotRemember
	}
	os.Remove(next)
	return days[service]
}

// readStateFile reads a state file. The result has a day of the service, or
// [NeverAnswered]. A file that is missing or empty has no days. Any other file that
// is not a state file is an error, so that it is not replaced.
func readStateFile(path, service string) (stateDays, error) {
	f, err := openRegular(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return stateDays{service: NeverAnswered}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil {
		return nil, err
	}
	days, err := parseState(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not a state file: %w", path, err)
	}
	if _, known := days[service]; !known {
		days[service] = NeverAnswered
	}
	return days, nil
}

// openRegular opens a regular file. It opens no other file, because that could block
// or have an effect, and follows no symbolic link.
func openRegular(path string, flag int) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil && !(flag&os.O_CREATE != 0 && errors.Is(err, fs.ErrNotExist)) {
		return nil, err
	}
	notRegular := fmt.Errorf("%s is not a regular file", path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, notRegular
	}
	f, err := os.OpenFile(path, flag|noFollow, 0o600)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err != nil || !info.Mode().IsRegular() { // it was replaced meanwhile
		f.Close()
		return nil, cmp.Or(err, notRegular)
	}
	return f, nil
}

// parseState parses a state file: lines of a date, or never, and a service.
func parseState(text []byte) (stateDays, error) {
	if len(text) > maxState {
		return nil, fmt.Errorf("longer than %d KB", maxState>>10)
	}
	days := stateDays{}
	for line := range strings.Lines(string(text)) {
		date, service, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		last, err := ParseLast(date)
		if date == never {
			last, err = NeverAnswered, nil
		}
		if err != nil || service == "" {
			return nil, errors.New("a line is not a date and a service")
		}
		days[service] = last
	}
	return days, nil
}

// encode returns the text that parseState parses.
func (d stateDays) encode() (string, error) {
	var text strings.Builder
	for _, service := range slices.Sorted(maps.Keys(d)) {
		fmt.Fprintf(&text, "%s %s\n", cmp.Or(d[service].String(), never), service)
	}
	if text.Len() > maxState {
		return "", fmt.Errorf("no space for more services: a state file has at most %d KB", maxState>>10)
	}
	return text.String(), nil
}

// writeNext writes a file that can replace the state file at path, and returns its path.
func (d stateDays) writeNext(path string) (string, error) {
	text, err := d.encode()
	if err != nil {
		return "", err
	}
	next := path + ".new"
	os.Remove(next) // of a process that was killed
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(text)
	if err = cmp.Or(err, f.Close()); err != nil {
		os.Remove(next)
		return "", err
	}
	return next, nil
}

// serviceName returns the service and the product of a URL for reports, as in
// releases.example.com/p/opa. The scheme, the channel and the user do not matter.
func serviceName(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if nonDefaultPort(u) == "" {
		host = strings.TrimSuffix(host, ":"+u.Port())
	}
	segments := strings.Split(strings.TrimSuffix(path.Clean("/"+u.EscapedPath()), "/v1/version"), "/")
	i := productSegment(segments)
	if i == 0 {
		return host + strings.Join(append(segments, "p", opa), "/")
	}
	product, _, _ := strings.Cut(segments[i], "@")
	return host + strings.Join(append(segments[:i], product), "/")
}
