/**
 * Alt text as XMP in the IPTC accessibility field, for sidecars that Lightroom,
 * digiKam, exiftool and others read (IPTC Photo Metadata Standard 2021.1, "Alt
 * Text (Accessibility)"; ISO 16684-1, 7.4 and 7.9).
 * @module
 */

/** Toolkit name that identifies sidecars of mquant. */
const TOOLKIT = "mquant";

/** An XMP packet with the alt text in one language. */
export function xmp(altText: string): string {
  return `<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="${TOOLKIT}">
  <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
    <rdf:Description rdf:about="" xmlns:Iptc4xmpCore="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/">
      <Iptc4xmpCore:AltTextAccessibility>
        <rdf:Alt>
          <rdf:li xml:lang="x-default">${xmlText(altText)}</rdf:li>
        </rdf:Alt>
      </Iptc4xmpCore:AltTextAccessibility>
    </rdf:Description>
  </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
`;
}

/** Whether `text` is a sidecar that `xmp` wrote. */
export function isOurXmp(text: string): boolean {
  return text.includes(`x:xmptk="${TOOLKIT}"`);
}

/** Escapes text for XML 1.0 and removes characters that XML cannot contain. */
function xmlText(text: string): string {
  return text.toWellFormed()
    .replace(/(?![\t\n\r])[\p{Cc}\ufffe\uffff]/gu, "")
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
