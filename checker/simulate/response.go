package simulate

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"

	"relcheck/checker/printable"
)

const (
	// maxResponse is the largest number of bytes that are read of a response. A longer one
	// counts as failed.
	maxResponse = 256 << 10
	// maxErrorText is how many bytes of an error's text are kept.
	maxErrorText = 1 << 10
)

// response holds what the load generator needs to know of an HTTP response.
type response struct {
	status      int
	notRecorded bool // Relcheck-Recorded: no
	close       bool // the server closes the connection after this response
	errorText   string
}

// readResponse reads a response with its body. It skips informational responses (1xx).
func readResponse(r *bufio.Reader) (response, error) {
	for {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return response{}, err
		}
		switch {
		case res.ProtoMajor != 1 || res.StatusCode < 100 || res.StatusCode == http.StatusSwitchingProtocols:
			return response{}, fmt.Errorf("unexpected response: %.40q", res.Proto+" "+res.Status)
		case res.StatusCode >= 200:
			return readBody(res)
		}
	}
}

// readBody reads the body of a response, and keeps its start if the request failed.
func readBody(res *http.Response) (response, error) {
	kept := response{
		status:      res.StatusCode,
		notRecorded: strings.EqualFold(res.Header.Get("Relcheck-Recorded"), "no"),
		close:       res.Close,
	}
	if kept.status >= 300 {
		text, err := io.ReadAll(io.LimitReader(res.Body, maxErrorText))
		if err != nil {
			return response{}, err
		}
		kept.errorText = printable.Clean(string(text))
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return response{}, err
	}
	return kept, nil
}
