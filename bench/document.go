package main

import (
	"errors"
	"os"
	"strings"
)

// What is measured goes between these two lines of a document; the rest of it is written by hand.
const (
	measuredBegin = "<!-- measured: begin -->"
	measuredEnd   = "<!-- measured: end -->"
)

// writeDocument replaces the measured part of the file name.
func writeDocument(name, measured string) error {
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	updated, err := replaceMeasured(string(old), measured)
	if err != nil {
		return err
	}
	return os.WriteFile(name, []byte(updated), 0o644)
}

func replaceMeasured(doc, measured string) (string, error) {
	before, rest, ok := strings.Cut(doc, measuredBegin)
	_, after, ok2 := strings.Cut(rest, measuredEnd)
	if !ok || !ok2 {
		return "", errors.New("the document has no place for what is measured: " + measuredBegin + " … " + measuredEnd)
	}
	return before + measuredBegin + "\n" + strings.TrimSpace(measured) + "\n" + measuredEnd + after, nil
}
