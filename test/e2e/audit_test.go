//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/yaml"
)

func yamlInto(text string, into any) error { return yaml.Unmarshal([]byte(text), into) }

// notAudited are permissions for which the audit log may show no request, with the reasons.
var notAudited = map[string]string{
	"list":                               "client-go uses list if the API server has no streaming lists (Kubernetes before 1.35)",
	"create apps deployments":            "the API server requires it for a server-side apply that creates the object, and logs the verb patch",
	"create  services":                   "the API server requires it for a server-side apply that creates the object, and logs the verb patch",
	"create policy poddisruptionbudgets": "the API server requires it for a server-side apply that creates the object, and logs the verb patch",
	"update apps.gracefulapp.dev gracefulapps/finalizers": "only a cluster with the admission plugin OwnerReferencesPermissionEnforcement requires it",
	"create authentication.k8s.io tokenreviews":           "used when Prometheus scrapes the metrics",
	"create authorization.k8s.io subjectaccessreviews":    "used when Prometheus scrapes the metrics",
	"patch  events": "used only when the leader changes repeatedly",
}

// The audit log of the API server, after all other tests, shows that the operator uses every permission that it has and that no request of the
// operator was forbidden.
var _ = AfterSuite(func() {
	file := os.Getenv("CLUSTER_AUDIT_LOG")
	if file == "" {
		GinkgoWriter.Println("CLUSTER_AUDIT_LOG is not set, so the operator's permissions are not compared with the audit log")
		return
	}
	if suite, _ := GinkgoConfiguration(); len(suite.FocusStrings) > 0 {
		GinkgoWriter.Println("only some tests ran: the operator's permissions are not compared with the audit log")
		return
	}
	used, forbidden := audited(file)
	Expect(forbidden).To(BeEmpty(), "requests of the operator that were forbidden")
	Expect(len(used)).To(BeNumerically(">", 10), "the audit log has too few requests of the operator")
	var unused []string
	for _, permission := range permissions() {
		verb, _, _ := strings.Cut(permission, " ")
		if !used[permission] && notAudited[permission] == "" && notAudited[verb] == "" {
			unused = append(unused, permission)
		}
	}
	Expect(unused).To(BeEmpty(), "permissions that the operator never uses")
})

// audited returns the operator's requests in the audit log, as "verb group resource", and those that RBAC has forbidden.
func audited(file string) (used map[string]bool, forbidden []string) {
	GinkgoHelper()
	used = map[string]bool{}
	files, err := filepath.Glob(strings.TrimSuffix(file, ".log") + "*.log")
	Expect(err).NotTo(HaveOccurred())
	for _, name := range files {
		f, err := os.Open(name)
		Expect(err).NotTo(HaveOccurred())
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e auditv1.Event
			if json.Unmarshal(lines.Bytes(), &e) != nil || !strings.HasPrefix(e.User.Username, "system:serviceaccount:"+system+":") || e.ObjectRef == nil {
				continue
			}
			permission := fmt.Sprintf("%s %s %s", e.Verb, e.ObjectRef.APIGroup, withSub(e.ObjectRef.Resource, e.ObjectRef.Subresource))
			used[permission] = true
			if e.ResponseStatus != nil && e.ResponseStatus.Code == 403 && !slices.Contains(forbidden, permission) && !isAdmissionDenial(e.ResponseStatus.Message) {
				forbidden = append(forbidden, permission)
			}
		}
		Expect(lines.Err()).NotTo(HaveOccurred())
		Expect(f.Close()).To(Succeed())
	}
	return used, forbidden
}

// isAdmissionDenial reports whether admission denied the object. Otherwise RBAC forbade the request, and the message names the user.
func isAdmissionDenial(message string) bool {
	return !strings.Contains(message, "User \"system:serviceaccount:")
}

func withSub(resource, sub string) string { return strings.TrimSuffix(resource+"/"+sub, "/") }

// permissions returns the operator's permissions, as "verb group resource".
func permissions() []string {
	GinkgoHelper()
	var all []string
	for _, kind := range []string{"clusterroles", "roles"} {
		var list struct {
			Items []struct {
				Metadata struct{ Name string }
				Rules    []rbacv1.PolicyRule
			}
		}
		Expect(yamlInto(kubectl("get", kind, "-n", system, "-o", "yaml"), &list)).To(Succeed())
		for _, role := range list.Items {
			if !slices.Contains(operatorRoles, role.Metadata.Name) {
				continue
			}
			for _, rule := range role.Rules {
				for _, group := range rule.APIGroups {
					for _, resource := range rule.Resources {
						for _, verb := range rule.Verbs {
							all = append(all, fmt.Sprintf("%s %s %s", verb, group, resource))
						}
					}
				}
			}
		}
	}
	Expect(len(all)).To(BeNumerically(">", 20))
	return all
}

// operatorRoles are the roles that are bound to the operator's service account.
var operatorRoles = []string{
	"gracefulapp-manager-role", "gracefulapp-certificates-role", "gracefulapp-metrics-auth-role", "gracefulapp-leader-election-role",
}
