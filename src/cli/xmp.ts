/**
 * Alternative text as XMP, in the field that IPTC made for it: sidecars that
 * Lightroom, digiKam, exiftool and others read (IPTC Photo Metadata Standard
 * 2021.1, "Alt Text (Accessibility)"; ISO 16684-1, 7.4 and 7.9).
 * @module
 */

/** Name by which a sidecar of ours is known again. */
const TOOLKIT = "mquant";

/** An XMP packet of one property: the alternative text, in one language. */
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

/** Text for XML 1.0: escaped, without the characters that it cannot hold. */
function xmlText(text: string): string {
  return text.toWellFormed()
    .replace(/(?![\t\n\r])[\p{Cc}\ufffe\uffff]/gu, "")
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
