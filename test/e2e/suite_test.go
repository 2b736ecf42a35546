//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"
)

const (
	// settle bounds the time of a change of replicas, a rollout or a deletion. Pods start in 5 s, but the machine may be slow.
	settle = 3 * time.Minute
	poll   = 500 * time.Millisecond
)

func TestE2E(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(settle)
	SetDefaultEventuallyPollingInterval(poll)
	RunSpecs(t, "End-to-end tests")
}

var _ = ReportBeforeEach(func(spec SpecReport) {
	if spec.State != types.SpecStateSkipped { // out of focus
		fmt.Printf("\n%s begins: %s\n", time.Now().Format(time.TimeOnly), spec.FullText())
	}
})

var _ = ReportAfterEach(func(spec SpecReport) {
	if spec.State != types.SpecStateSkipped || spec.Failure.Message != "" {
		fmt.Printf("%s %s after %.0f s: %s\n", time.Now().Format(time.TimeOnly), spec.State, spec.RunTime.Seconds(), spec.FullText())
	}
})

// The specs scroll by, so this node writes the skipped specs and the reasons to a file, which hack/test-e2e.sh prints.
var _ = ReportAfterSuite("skipped specs", func(report Report) {
	file := os.Getenv("E2E_SKIPPED")
	if file == "" {
		return
	}
	var text strings.Builder
	for _, spec := range report.SpecReports {
		if spec.State.Is(types.SpecStateSkipped) && spec.Failure.Message != "" { // specs out of focus have no message
			fmt.Fprintf(&text, "SKIPPED: %s: %s\n", spec.FullText(), spec.Failure.Message)
		}
	}
	Expect(os.WriteFile(file, []byte(text.String()), 0o600)).To(Succeed())
})

// newNamespace creates a namespace for a container of specs, which is deleted after them.
func newNamespace() string {
	GinkgoHelper()
	name := fmt.Sprintf("e2e-%d", time.Now().UnixNano()%1_000_000_000)
	kubectl("create", "namespace", name)
	DeferCleanup(func() { kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found") })
	return name
}

// kubectl runs kubectl, expects it to succeed and returns its standard output.
func kubectl(args ...string) string {
	GinkgoHelper()
	out, err := tryKubectl("", args...)
	Expect(err).NotTo(HaveOccurred())
	return out
}

// tryKubectl runs kubectl with a standard input and returns its standard output. The error contains the standard error.
func tryKubectl(input string, args ...string) (string, error) {
	return run("kubectl", input, args...)
}

func run(program, input string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	GinkgoWriter.Printf("$ %s %s\n", program, strings.Join(args, " "))
	err := cmd.Run()
	GinkgoWriter.Print(stdout.String(), stderr.String())
	if err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

func apply(namespace, manifest string) error {
	_, err := tryKubectl(manifest, "apply", "-n", namespace, "-f", "-")
	return err
}

func field(namespace, object, path string) string {
	GinkgoHelper()
	return kubectl("get", "-n", namespace, object, "-o", "jsonpath="+path)
}

func waitReady(namespace string) {
	GinkgoHelper()
	kubectl("wait", "-n", namespace, "gapp/hello", "--for=condition=Ready", "--timeout="+settle.String())
}

// image returns the full name of an image of this repository. make sets REGISTRY and VERSION, and a variable for most images, for example HELLO_IMG.
func image(name string) string {
	if full := os.Getenv(strings.ToUpper(strings.TrimPrefix(name, "gracefulapp-")) + "_IMG"); full != "" {
		return full
	}
	version := os.Getenv("VERSION")
	if version == "" {
		file, err := os.ReadFile("../../VERSION")
		if err != nil {
			panic(err)
		}
		version = strings.TrimSpace(string(file))
	}
	return cmp.Or(os.Getenv("REGISTRY"), "ghcr.io/gracefulapp") + "/" + name + ":" + version
}
