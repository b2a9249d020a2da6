// Reads one body in base64 a line and answers with a line of JSON: what Go's decoders take for its model, null where
// they take nothing. Ollama decodes by the first way (gin's ShouldBindJSON is json.NewDecoder(body).Decode into a struct).
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
)

// The fields that requests of Ollama's routes have beside the model: a wrong type of theirs must not end the reading.
type request struct {
	Model       string            `json:"model"`
	Name        string            `json:"name"`
	Prompt      string            `json:"prompt"`
	System      string            `json:"system"`
	Messages    []message         `json:"messages"`
	Tools       []map[string]any  `json:"tools,omitempty"`
	Format      json.RawMessage   `json:"format,omitempty"`
	Stream      *bool             `json:"stream,omitempty"`
	KeepAlive   any               `json:"keep_alive,omitempty"`
	Options     map[string]any    `json:"options"`
	MaxTokens   *int              `json:"max_tokens"`
	Temperature *float64          `json:"temperature"`
	Metadata    map[string]string `json:"metadata"`
}

type message struct {
	Role    string `json:"role"`
	Content any    `json:"content"`
}

// A wrong type somewhere is an error, but the struct is filled all the same: counted as decoded, to be strict.
func decoded(model string, err error) *string {
	var wrongType *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &wrongType) {
		return nil
	}
	return &model
}

func byDecoder(body []byte) *string {
	var into request
	err := json.NewDecoder(bytes.NewReader(body)).Decode(&into)
	return decoded(into.Model, err)
}

func byUnmarshal(body []byte) *string {
	var into request
	err := json.Unmarshal(body, &into)
	return decoded(into.Model, err)
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return
		}
		body, wrong := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(line)))
		if err != nil || wrong != nil {
			os.Exit(1)
		}
		if out.Encode([]*string{byDecoder(body), byUnmarshal(body)}) != nil {
			os.Exit(1)
		}
	}
}
