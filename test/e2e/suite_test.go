//go:build e2e

package e2e

import (
	"bytes"
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
	// settle bounds how long a change of replicas, a rollout or a deletion may take: pods start in 5 s, and the machine is small.
	settle = 3 * time.Minute
	poll   = 500 * time.Millisecond
)

func TestE2E(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(settle)
	SetDefaultEventuallyPollingInterval(poll)
	RunSpecs(t, "What a user does")
}

// go test prints nothing of a suite that passes, so the specs that were skipped and their reasons go to a file, which hack/test-e2e.sh prints.
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

// namespace is made anew for each top-level container of specs.
func newNamespace() string {
	GinkgoHelper()
	name := fmt.Sprintf("e2e-%d", time.Now().UnixNano()%1_000_000_000)
	kubectl("create", "namespace", name)
	DeferCleanup(func() { kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found") })
	return name
}

// kubectl runs it and returns what it printed to standard output; it must succeed.
func kubectl(args ...string) string {
	GinkgoHelper()
	out, err := try("", args...)
	Expect(err).NotTo(HaveOccurred())
	return out
}

// try runs kubectl with an input; the error holds what a user would read.
func try(input string, args ...string) (string, error) {
	return run("kubectl", input, args...)
}

func run(program, input string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(input)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	GinkgoWriter.Printf("$ %s %s\n", program, strings.Join(args, " "))
	err := cmd.Run()
	GinkgoWriter.Print(out.String(), problem.String())
	if err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, problem.String())
	}
	return out.String(), nil
}

func apply(namespace, manifest string) error {
	_, err := try(manifest, "apply", "-n", namespace, "-f", "-")
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
