"use strict";
window.addEventListener("load", () => {
  window.ui = SwaggerUIBundle({
    url: {{ document_url|tojson }},
    dom_id: "#swagger-ui",
    deepLinking: true,
    presets: [SwaggerUIBundle.presets.apis],
    persistAuthorization: false,
    displayRequestDuration: true,
  });
});
