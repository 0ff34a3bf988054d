package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	v1 "k8s.io/api/core/v1"
)

func newReader(text []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(text)) }

// manifests reads a stream of manifests and says what is wrong with them; true when nothing is.
func manifests(name string, from io.Reader) bool {
	text, err := io.ReadAll(from)
	if err != nil {
		fmt.Println(err)
		return false
	}
	all, err := documents(text)
	if err != nil {
		fmt.Println(err)
		return false
	}
	var kinds, faults []string
	for _, document := range all {
		kind, _, err := judged(document)
		if err != nil {
			faults = append(faults, err.Error())
		}
		kinds = append(kinds, kind)
	}
	if len(faults) > 0 {
		fmt.Printf("%s: %s\n", name, strings.Join(faults, "\n"+name+": "))
		return false
	}
	fmt.Printf("%s: taken whole: %s\n", name, strings.Join(kinds, ", "))
	return true
}

// workloadOf is the first pod of the manifests, with the variables that its container has.
func workloadOf(from io.Reader) (w workload, err error) {
	text, err := io.ReadAll(from)
	if err != nil {
		return w, err
	}
	all, err := documents(text)
	if err != nil {
		return w, err
	}
	for _, document := range all {
		object, _, _, err := stored(document)
		if err != nil {
			return w, err
		}
		if settings, is := object.(*v1.ConfigMap); is {
			for name, value := range settings.Data {
				w.variables = append(w.variables, name+"="+value)
			}
		}
		if templateOf(object) != nil {
			if w.pod, err = podOf(object); err != nil {
				return w, err
			}
			for _, variable := range w.container().Env {
				w.variables = append(w.variables, variable.Name+"="+variable.Value)
			}
		}
	}
	if w.pod == nil {
		return w, fmt.Errorf("no pod")
	}
	return w, nil
}

func probes(w workload, program, host string) bool {
	right := true
	for _, p := range phases() {
		right = lived(w, program, host, p) && right
	}
	return right
}

// done is whether all is as it should be.
func done(words []string) (right, known bool) {
	if len(words) == 2 && words[0] == "manifests" {
		return manifests(words[1], os.Stdin), true
	}
	w, err := workload{}, error(nil)
	if len(words) > 0 {
		if w, err = workloadOf(os.Stdin); err != nil {
			fmt.Println(err)
			return false, true
		}
	}
	if len(words) == 1 && words[0] == "rules" {
		return rules(w.pod), true
	}
	if len(words) == 3 && words[0] == "probes" {
		return probes(w, words[1], words[2]), true
	}
	return false, false
}

func main() {
	right, known := done(os.Args[1:])
	if !known {
		fmt.Fprintln(os.Stderr, "kubernetes manifests NAME|rules|probes PROGRAM HOST <MANIFESTS")
		os.Exit(2)
	}
	if !right {
		os.Exit(1)
	}
}
