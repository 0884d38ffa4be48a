package server

import (
	"net/http"
	"strings"
	"testing"
)

func TestEncodeListLimit(t *testing.T) {
	items := []string{"a", "b"}
	if got, err := encodeList(items, func(s string) any { return s }); err != nil || string(got) != "[\"a\"\n,\"b\"\n]\n" {
		t.Errorf("got %s (error %v), want both items", got, err)
	}
	long := strings.Repeat("x", maxGitHubBody)
	if got, err := encodeList(items, func(string) any { return long }); failureOf(err).status != http.StatusUnprocessableEntity {
		t.Errorf("got %d bytes (error %v), want an error with status 422", len(got), err)
	}
}
