package fhirservers;

import com.fasterxml.jackson.databind.ObjectMapper;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpFilter;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;

/** In front of FHIR: the bearer token, the delay and the request log; the same three as `medplum/server.mjs`. */
final class Gate extends HttpFilter {
    private static final long serialVersionUID = 1L;
    private static final int LOG_LINES = 10_000;
    private static final ObjectMapper JSON = new ObjectMapper();

    private final String token;
    private final transient List<Map<String, Object>> log = new CopyOnWriteArrayList<>();
    private volatile long delay;

    /** token: null lets everybody in. delay: ms. */
    Gate(String token, long delay) {
        this.token = token;
        this.delay = delay;
    }

    @Override
    protected void doFilter(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws IOException, ServletException {
        String path = request.getRequestURI();
        if (path.startsWith("/fhir/") || path.equals("/fhir")) {
            fhir(request, response, chain);
        } else if (path.equals("/_log")) {
            if (request.getMethod().equals("DELETE")) log.clear();
            answer(response, 200, log);
        } else if (request.getMethod().equals("PUT") && path.matches("/_delay/\\d{1,6}")) {
            delay = Long.parseLong(path.substring("/_delay/".length()));
            answer(response, 200, Map.of("delay", delay));
        } else {
            answer(response, 404, outcome("not-found", "found " + path + "; expected /fhir/…, /_log or /_delay/MS"));
        }
    }

    private void fhir(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws IOException, ServletException {
        pause();
        if (letIn(request)) {
            chain.doFilter(request, response);
        } else {
            response.setHeader("WWW-Authenticate", "Bearer");
            answer(response, 401, outcome("login", "found no valid bearer token; expected one"));
        }
        if (log.size() < LOG_LINES) log.add(line(request, response.getStatus()));
    }

    private boolean letIn(HttpServletRequest request) {
        return token == null
                || request.getRequestURI().equals("/fhir/metadata")
                || ("Bearer " + token).equals(request.getHeader("Authorization"));
    }

    private void pause() throws ServletException {
        try {
            Thread.sleep(delay);
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
            throw new ServletException(stopped);
        }
    }

    private static Map<String, Object> line(HttpServletRequest request, int status) {
        String query = request.getQueryString();
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("method", request.getMethod());
        line.put("path", request.getRequestURI() + (query == null ? "" : "?" + query));
        line.put("token", request.getHeader("Authorization") != null);
        line.put("status", status);
        return line;
    }

    private static Map<String, Object> outcome(String code, String text) {
        return Map.of(
                "resourceType", "OperationOutcome",
                "issue", List.of(Map.of("severity", "error", "code", code, "diagnostics", text)));
    }

    private static void answer(HttpServletResponse response, int status, Object body) throws IOException {
        response.setStatus(status);
        response.setContentType("application/fhir+json;charset=utf-8");
        response.getOutputStream().write(JSON.writeValueAsBytes(body));
    }
}
