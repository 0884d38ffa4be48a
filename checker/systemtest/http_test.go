package systemtest

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/google/uuid"
)

// randomID returns a version 4 UUID from a fast random source that is not secure.
func randomID(r *rand.Rand) (id uuid.UUID) {
	a, b := r.Uint64(), r.Uint64()
	for i := range 8 {
		id[i], id[i+8] = byte(a>>(8*i)), byte(b>>(8*i))
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

func encodeID(dst []byte, id uuid.UUID) {
	hex.Encode(dst[0:8], id[0:4])
	hex.Encode(dst[9:13], id[4:6])
	hex.Encode(dst[14:18], id[6:8])
	hex.Encode(dst[19:23], id[8:10])
	hex.Encode(dst[24:36], id[10:16])
}

// readResponse reads an HTTP response with a Content-Length, and reports whether it
// acknowledges a report.
func readResponse(r *bufio.Reader) (status int, recorded bool, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return 0, false, err
	}
	if len(line) < len("HTTP/1.1 200") {
		return 0, false, errors.New("not an HTTP response")
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, false, err
	}
	length, recorded := 0, true
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		if len(line) <= 2 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) {
		case "Content-Length":
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		case "Relcheck-Recorded":
			recorded = false
		}
	}
	_, err = r.Discard(length)
	return status, recorded, err
}

func TestReadResponse(t *testing.T) {
	for response, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi":                          "200 true <nil>",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRelcheck-Recorded: no\r\n\r\nhi": "200 false <nil>",
		"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n":                            "503 true <nil>",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi":                          "200 true EOF",
		"HTTP/1.1 2": "0 false EOF",
	} {
		status, recorded, err := readResponse(bufio.NewReader(bytes.NewReader([]byte(response))))
		if got := fmt.Sprint(status, " ", recorded, " ", err); got != want {
			t.Errorf("%q: got %s, want %s", response, got, want)
		}
	}
}
